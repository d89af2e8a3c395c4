"""Capabilities, categories and tags."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    """Nothing yet."""
