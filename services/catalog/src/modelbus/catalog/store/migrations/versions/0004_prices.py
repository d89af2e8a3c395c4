"""Prices with the periods in which they are in force."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    """Nothing yet."""
