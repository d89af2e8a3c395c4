"""What goes into a model and comes out, and what each listing and metadata file says of it, beside what it has.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCHEMA = "catalog"
TOLD = ("display_name", "model_type", "context_window", "max_output_tokens", "capabilities")


def upgrade() -> None:
    op.add_column("models", sa.Column("modalities", sa.Text(), nullable=True), schema=SCHEMA)
    op.add_column("sources", sa.Column("said", JSONB(), nullable=False, server_default="{}"), schema=SCHEMA)
    op.add_column("sources", sa.Column("background", JSONB(none_as_null=True), nullable=True), schema=SCHEMA)
    # What a model has from a listing, that listing said; what others said of it, the next listings tell again.
    said = ", ".join(
        f"'{name}', CASE WHEN m.provenance->>'{name}' = s.supplier_id::text THEN to_jsonb(m.{name}) END"
        for name in TOLD
    )
    op.execute(
        f"""
        UPDATE {SCHEMA}.sources s SET said = jsonb_strip_nulls(jsonb_build_object({said}))
        FROM {SCHEMA}.models m WHERE m.id = s.model_id AND s.origin = 'listing' AND m.provenance <> '{{}}'
        """  # noqa: S608 - all of it is above
    )
