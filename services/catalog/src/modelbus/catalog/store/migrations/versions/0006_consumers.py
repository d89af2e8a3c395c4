"""Consumers, and what suppliers, credentials and access keys may and may not."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    _add("suppliers", sa.Column("logo_url", sa.Text(), nullable=True), sa.Column("category", sa.Text(), nullable=True))
    _add(
        "credentials",
        sa.Column("weight", sa.Integer(), server_default="1", nullable=False),
        sa.Column("is_restricted", sa.Boolean(), server_default=sa.false(), nullable=False),
        *_numbers("rpm_limit", "tpm_limit"),
        sa.Column("state_reason", sa.Text(), nullable=True),
        _time("state_until"),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        _time("last_used_at"),
    )
    _index_where_set("credentials", "state_until")
    _create_places("credential", "model")
    _create_consumers()
    _create_places("consumer", "model")
    _create_places("consumer", "scope")
    _add(
        "access_keys",
        sa.Column("consumer_id", sa.Uuid(), nullable=True),
        sa.Column("is_scope_restricted", sa.Boolean(), server_default=sa.false(), nullable=False),
        *_numbers("rpm_limit", "tpm_limit", "concurrency_limit"),
        sa.Column("budgets", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("previous_key_hash", sa.Text(), nullable=True),
        _time("previous_expires_at"),
        _time("last_used_at"),
    )
    op.create_foreign_key(
        op.f("fk_access_keys_consumer_id"),
        "access_keys",
        "consumers",
        ["consumer_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.create_index("ix_access_keys_consumer_id", "access_keys", ["consumer_id"], schema=SCHEMA)
    _index_where_set("access_keys", "previous_expires_at")
    _create_places("access_key", "scope")


def _create_consumers() -> None:
    op.create_table(
        "consumers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_restricted", sa.Boolean(), nullable=False),
        sa.Column("is_scope_restricted", sa.Boolean(), nullable=False),
        *_numbers("rpm_limit", "tpm_limit", "concurrency_limit"),
        sa.Column("budgets", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumers")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_consumers_name",
        "consumers",
        ["name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _create_places(holder: str, target: str) -> None:
    table, of, to = f"{holder}_{target}s", f"{holder}_id", f"{target}_id"
    op.create_table(
        table,
        sa.Column(of, sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column(to, sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint([of], [f"{SCHEMA}.{holder}s.id"], name=op.f(f"fk_{table}_{of}")),
        sa.ForeignKeyConstraint([to], [f"{SCHEMA}.{target}s.id"], name=op.f(f"fk_{table}_{to}")),
        sa.PrimaryKeyConstraint(of, "position", name=op.f(f"pk_{table}")),
        schema=SCHEMA,
    )
    op.create_index(f"ix_{table}_{to}", table, [to], schema=SCHEMA)


def _add(table: str, *columns: sa.Column[Any]) -> None:
    for column in columns:
        op.add_column(table, column, schema=SCHEMA)


def _numbers(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Integer(), nullable=True) for name in names]


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def _index_where_set(table: str, column: str) -> None:
    where = sa.text(f"{column} IS NOT NULL")
    op.create_index(f"ix_{table}_{column}", table, [column], schema=SCHEMA, postgresql_where=where)
