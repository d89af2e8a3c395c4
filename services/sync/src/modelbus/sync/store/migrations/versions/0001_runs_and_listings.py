"""Runs, listings, outbox and parked messages.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "sync"


def upgrade() -> None:
    _create_runs()
    _create_listings()
    _create_outbox()
    _create_parked()


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("supplier_id", sa.Uuid, nullable=False),
        sa.Column("supplier_name", sa.Text),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("catalog_epoch", sa.Uuid),
        sa.Column("catalog_revision", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("times_taken", sa.Integer, nullable=False),
        sa.Column("times_lost", sa.Integer, nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("listed_count", sa.Integer),
        sa.Column("left_out_count", sa.Integer),
        sa.Column("added", sa.Integer),
        sa.Column("changed", sa.Integer),
        sa.Column("removed", sa.Integer),
        sa.Column("held", sa.Integer),
        sa.Column("unchanged", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        schema=SCHEMA,
    )
    op.create_index("ix_runs_supplier_id_requested_at", "runs", ["supplier_id", "requested_at"], schema=SCHEMA)
    op.create_index(
        "ix_runs_waiting",
        "runs",
        ["requested_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("status IN ('requested', 'fetching')"),
    )
    op.create_index(
        "uq_runs_fetching",
        "runs",
        ["supplier_id"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("status = 'fetching'"),
    )


def _create_listings() -> None:
    op.create_table(
        "listings",
        sa.Column("run_id", sa.Uuid, nullable=False),
        sa.Column("supplier_id", sa.Uuid, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("left_out", JSONB, nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_listings"),
        sa.ForeignKeyConstraint(["run_id"], [f"{SCHEMA}.runs.id"], name="fk_listings_run_id", ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index("ix_listings_supplier_id_fetched_at", "listings", ["supplier_id", "fetched_at"], schema=SCHEMA)


def _create_outbox() -> None:
    op.create_table(
        "sync_head",
        sa.Column("singleton", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("epoch", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("singleton", name="pk_sync_head"),
        sa.CheckConstraint("singleton", name="singleton"),
        schema=SCHEMA,
    )
    op.execute(f"INSERT INTO {SCHEMA}.sync_head (epoch) VALUES (gen_random_uuid())")  # noqa: S608 - a name of our own
    op.create_table(
        "outbox",
        sa.Column("revision", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("epoch", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("schema_version", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("correlation_id", sa.Text),
        sa.Column("trace_parent", sa.Text),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_outbox"),
        schema=SCHEMA,
    )


def _create_parked() -> None:
    op.create_table(
        "parked",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("event_id", sa.Uuid),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_parked"),
        sa.UniqueConstraint("consumer", "event_id", name="parked_once"),
        schema=SCHEMA,
    )
