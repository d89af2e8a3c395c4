"""What routing may be told: triggers of steps, classifiers, cost strategies."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    """Nothing yet."""
