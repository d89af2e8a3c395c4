"""Indexes that the main questions need at a hundred thousand sources."""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    """Nothing yet."""
