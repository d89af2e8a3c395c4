"""What models have in common and are labelled by: capabilities, parameters, categories, tags, lifecycle."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "catalog"
LABELS = ("category_ids", "tag_ids", "untagged_ids", "rule_tag_ids")


def upgrade() -> None:
    ids = postgresql.ARRAY(sa.Uuid())
    columns: list[sa.Column[Any]] = [
        sa.Column("custom_name", sa.Text(), nullable=True),
        sa.Column("sub_type", sa.Text(), nullable=True),
        sa.Column("knowledge_cutoff", sa.Date(), nullable=True),
        sa.Column("lifecycle", sa.Text(), server_default="active", nullable=False),
        sa.Column("deprecated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replacement_model_id", sa.Uuid(), nullable=True),
        sa.Column("tier", sa.Text(), server_default="free", nullable=False),
        sa.Column("is_featured", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("is_default", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("capabilities", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("parameters", postgresql.JSONB(), server_default="[]", nullable=False),
        *(sa.Column(name, ids, server_default="{}", nullable=False) for name in LABELS),
    ]
    for column in columns:
        op.add_column("models", column, schema=SCHEMA)
    op.create_foreign_key(
        op.f("fk_models_replacement_model_id"),
        "models",
        "models",
        ["replacement_model_id"],
        ["id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    for name in ("capabilities", *LABELS):
        op.create_index(f"ix_models_{name}", "models", [name], schema=SCHEMA, postgresql_using="gin")
    op.create_index("ix_models_replacement_model_id", "models", ["replacement_model_id"], schema=SCHEMA)
    op.create_index(
        "uq_models_default_of_type",
        "models",
        ["model_type"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("is_default AND deleted_at IS NULL"),
    )
    op.add_column("sources", sa.Column("protocol", sa.Text(), nullable=True), schema=SCHEMA)
    op.add_column("sources", sa.Column("features", postgresql.JSONB(), nullable=True), schema=SCHEMA)
    op.add_column("sources", sa.Column("health", sa.Text(), server_default="unknown", nullable=False), schema=SCHEMA)
