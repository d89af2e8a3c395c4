"""Why a listing is kept back, what it was compared with, and who decided.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "sync"


def upgrade() -> None:
    op.add_column("runs", sa.Column("suspicions", sa.ARRAY(sa.Text)), schema=SCHEMA)
    op.add_column("runs", sa.Column("base_run_id", sa.Uuid), schema=SCHEMA)
    op.add_column("runs", sa.Column("decided_by", sa.Text), schema=SCHEMA)
