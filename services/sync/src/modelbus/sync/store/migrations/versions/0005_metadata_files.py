"""Metadata files: of each the last one that could be read, and how it stands.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "sync"


def upgrade() -> None:
    op.create_table(
        "metadata_files",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("shape", sa.Text()),
        sa.Column("digest", sa.Text()),
        sa.Column("entries", sa.Integer()),
        sa.Column("left_out", sa.Integer()),
        sa.Column("etag", sa.Text()),
        sa.Column("last_modified", sa.Text()),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.Column("checked_at", sa.DateTime(timezone=True)),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("name", name="pk_metadata_files"),
        schema=SCHEMA,
    )
