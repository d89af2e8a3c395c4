"""How suppliers are seen, and which of them are asked for a token.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "sync"


def upgrade() -> None:
    op.create_table(
        "watches",
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("is_local", sa.Boolean(), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looks", JSONB(), nullable=False),
        sa.Column("last_ok_at", sa.DateTime(timezone=True)),
        sa.Column("traffic_ok_at", sa.DateTime(timezone=True)),
        sa.Column("traffic_failed_at", sa.DateTime(timezone=True)),
        sa.Column("told_health", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("supplier_id", name=op.f("pk_watches")),
        schema=SCHEMA,
    )
    op.create_index("ix_watches_due_at", "watches", ["due_at"], schema=SCHEMA)
    op.create_table(
        "token_probes",
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("upstream_name", sa.Text(), nullable=False),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.Column("daily_calls", sa.Integer(), nullable=False),
        sa.Column("daily_cost", sa.Numeric()),
        sa.Column("is_reasoning", sa.Boolean()),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("supplier_id", name=op.f("pk_token_probes")),
        schema=SCHEMA,
    )
