"""What observers say of credentials that a supplier did not accept, and since when a credential is not ok."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.create_table(
        "credential_refusals",
        sa.Column("credential_id", sa.Uuid(), nullable=False),
        sa.Column("observer", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disproved_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("credential_id", "observer", name=op.f("pk_credential_refusals")),
        schema=SCHEMA,
    )
    op.create_index("ix_credential_refusals_last_at", "credential_refusals", ["last_at"], schema=SCHEMA)
    op.add_column("credentials", sa.Column("state_since", sa.DateTime(timezone=True), nullable=True), schema=SCHEMA)
