"""Who is used how much, and which batches of usage are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "integrity"


def upgrade() -> None:
    op.create_table(
        "usage_hours",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("target_id", sa.Uuid, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("hour", "target_id", name="pk_usage_hours"),
        schema=SCHEMA,
    )
    op.create_table(
        "heard_usage",
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_heard_usage"),
        schema=SCHEMA,
    )
    op.create_index("ix_heard_usage_told_at", "heard_usage", ["told_at"], schema=SCHEMA)
