"""What listings tell of the life of each source, and where a supplier's listing is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.add_column("suppliers", sa.Column("listing_url", sa.Text(), nullable=True), schema=SCHEMA)
    for name in ("deprecated_at", "retires_at"):
        op.add_column("sources", sa.Column(name, sa.DateTime(timezone=True), nullable=True), schema=SCHEMA)
    op.add_column("sources", sa.Column("replacement", sa.Text(), nullable=True), schema=SCHEMA)
    op.execute(
        f"""
        CREATE INDEX ix_sources_retires_at ON {SCHEMA}.sources (retires_at)
        WHERE deleted_at IS NULL AND retires_at IS NOT NULL
          AND (is_available OR reason IN ('no_credential', 'delisted'))
        """
    )
