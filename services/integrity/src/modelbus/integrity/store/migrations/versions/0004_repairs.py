"""Repairs that were applied."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "integrity"


def upgrade() -> None:
    op.create_table(
        "repairs",
        sa.Column("finding_id", sa.Uuid, nullable=False),
        sa.Column("remedy", sa.Text, nullable=False),
        sa.Column("model_id", sa.Uuid),
        sa.Column("applied_by", sa.Text, nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("holder_path", sa.Text, nullable=False),
        sa.Column("version_before", sa.BigInteger),
        sa.Column("version_after", sa.BigInteger),
        sa.PrimaryKeyConstraint("finding_id", name="pk_repairs"),
        sa.ForeignKeyConstraint(["finding_id"], [f"{SCHEMA}.findings.id"], name="fk_repairs_finding_id"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_repairs_applied_by_idempotency_key",
        "repairs",
        ["applied_by", "idempotency_key"],
        unique=True,
        schema=SCHEMA,
    )
