"""What observers say of suppliers and sources, and from when on a source is out of service for it.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.create_table(
        "health_claims",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("observer", sa.Text(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("health", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("is_settled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "observer", name=op.f("pk_health_claims")),
        schema=SCHEMA,
    )
    op.create_index("ix_health_claims_supplier_id", "health_claims", ["supplier_id"], schema=SCHEMA)
    op.create_index("ix_health_claims_observed_at", "health_claims", ["observed_at"], schema=SCHEMA)
    op.execute(f"CREATE INDEX ix_health_claims_unsettled ON {SCHEMA}.health_claims (observed_at) WHERE NOT is_settled")
    op.add_column("sources", sa.Column("unhealthy_at", sa.DateTime(timezone=True), nullable=True), schema=SCHEMA)
    op.execute(
        f"""
        CREATE INDEX ix_sources_unhealthy_at ON {SCHEMA}.sources (unhealthy_at)
        WHERE deleted_at IS NULL AND is_available AND unhealthy_at IS NOT NULL
        """
    )
    # `unhealthy` is one more reason that comes after `retired`.
    op.drop_index("ix_sources_retires_at", "sources", schema=SCHEMA)
    op.execute(
        f"""
        CREATE INDEX ix_sources_retires_at ON {SCHEMA}.sources (retires_at)
        WHERE deleted_at IS NULL AND retires_at IS NOT NULL
          AND (is_available OR reason IN ('no_credential', 'delisted', 'unhealthy'))
        """
    )
