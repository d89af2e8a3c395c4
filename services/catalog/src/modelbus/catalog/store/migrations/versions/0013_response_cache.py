"""For how long answers of a scope may be given again."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.add_column("scopes", sa.Column("response_cache_s", sa.Integer(), nullable=True), schema=SCHEMA)
