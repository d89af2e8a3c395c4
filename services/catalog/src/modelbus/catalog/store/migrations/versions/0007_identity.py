"""Users, their sessions and tokens, and the keys that sign."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    """Nothing yet."""
