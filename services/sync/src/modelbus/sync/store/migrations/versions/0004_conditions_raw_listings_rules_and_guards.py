"""What a listing is asked for by, how far it is, how it came; which names are ignored, and thresholds per supplier.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "sync"
OF_RUNS = (
    ("requested_by", sa.Text()),
    ("pages_read", sa.Integer()),
    ("bytes_read", sa.BigInteger()),
    ("ignored_count", sa.Integer()),
    ("held_prices_count", sa.Integer()),
    ("declared_count", sa.BigInteger()),
    ("etag", sa.Text()),
    ("last_modified", sa.Text()),
    ("body_digest", sa.Text()),
    ("mark", sa.Text()),
    ("decided_at", sa.DateTime(timezone=True)),
    ("applied_epoch", sa.Uuid()),
)


def upgrade() -> None:
    for name, kind in OF_RUNS:
        op.add_column("runs", sa.Column(name, kind), schema=SCHEMA)
    op.create_table(
        "raw_listings",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_raw_listings"),
        sa.ForeignKeyConstraint(["run_id"], ["sync.runs.id"], name="fk_raw_listings_run_id", ondelete="CASCADE"),
        schema=SCHEMA,
    )
    op.create_index("ix_raw_listings_supplier_id_kept_at", "raw_listings", ["supplier_id", "kept_at"], schema=SCHEMA)
    op.create_table(
        "ignore_rules",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid()),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ignore_rules"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_ignore_rules_supplier_id_pattern",
        "ignore_rules",
        ["supplier_id", "pattern"],
        unique=True,
        schema=SCHEMA,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "guards",
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("most_lost_share", sa.Float()),
        sa.Column("most_growth", sa.Float()),
        sa.Column("most_doubles", sa.Integer()),
        sa.Column("minds_declared", sa.Boolean()),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("supplier_id", name="pk_guards"),
        schema=SCHEMA,
    )
