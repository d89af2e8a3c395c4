"""What models have in common and are labelled by: capabilities, parameters, categories, tags, lifecycle."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    """Nothing yet."""
