"""The epoch in which sync announced a listing that was applied: its revisions are compared within one."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.add_column("applied_listings", sa.Column("listing_epoch", sa.Uuid(), nullable=True), schema=SCHEMA)
