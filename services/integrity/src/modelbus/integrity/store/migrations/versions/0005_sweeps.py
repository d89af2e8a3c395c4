"""Sweeps, and what came of each."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "integrity"


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("asked_by", sa.Text),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("checked", sa.BigInteger, nullable=False),
        sa.Column("drift", JSONB, nullable=False),
        sa.Column("opened", sa.BigInteger, nullable=False),
        sa.Column("closed", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sweeps"),
        schema=SCHEMA,
    )
    op.add_column("index_head", sa.Column("swept_on", sa.Date), schema=SCHEMA)
