"""Capabilities, categories and tags, and the usage by which some tags are given."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    texts = postgresql.ARRAY(sa.Text())
    _create_label(
        "capabilities",
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("input_types", texts, nullable=False),
        sa.Column("output_types", texts, nullable=False),
    )
    _create_label(
        "categories",
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], [f"{SCHEMA}.categories.id"], name=op.f("fk_categories_parent_id")),
    )
    op.create_index("ix_categories_parent_id", "categories", ["parent_id"], schema=SCHEMA)
    _create_label(
        "tags",
        sa.Column("color", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("rule", postgresql.JSONB(), nullable=True),
    )
    op.create_table(
        "model_usage",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "model_id", name=op.f("pk_model_usage")),
        schema=SCHEMA,
    )
    op.create_table(
        "heard_usage",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_heard_usage")),
        schema=SCHEMA,
    )
    op.create_index("ix_heard_usage_told_at", "heard_usage", ["told_at"], schema=SCHEMA)


def _create_label(table: str, *columns: Any) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        *columns,
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        schema=SCHEMA,
    )
    op.create_index(
        f"uq_{table}_name",
        table,
        ["name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
