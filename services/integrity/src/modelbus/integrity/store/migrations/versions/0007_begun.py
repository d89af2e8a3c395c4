"""Messages that were told often and are begun again, until they are done with."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "integrity"


def upgrade() -> None:
    op.create_table(
        "begun",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name="pk_begun"),
        schema=SCHEMA,
    )
