"""Splits: weighted arms under one name, and shadows that are sent copies."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.create_table(
        "splits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("sticky_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_splits")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_splits_name",
        "splits",
        ["name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    _add_variants("split_arms", sa.Column("weight", sa.Integer(), nullable=False))
    _add_variants("split_shadows", sa.Column("percent", sa.Double(), nullable=False))


def _add_variants(table: str, share: sa.Column[Any]) -> None:
    references = {"split_id": "splits", "model_id": "models", "source_id": "sources"}
    op.create_table(
        table,
        sa.Column("split_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=True),
        share,
        *(
            sa.ForeignKeyConstraint([column], [f"{SCHEMA}.{target}.id"], name=op.f(f"fk_{table}_{column}"))
            for column, target in references.items()
        ),
        sa.PrimaryKeyConstraint("split_id", "position", name=op.f(f"pk_{table}")),
        schema=SCHEMA,
    )
    for column in ("model_id", "source_id"):
        op.create_index(f"ix_{table}_{column}", table, [column], schema=SCHEMA)
