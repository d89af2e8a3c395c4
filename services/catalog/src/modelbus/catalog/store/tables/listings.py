"""What became of the listings that sync brought."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from modelbus.catalog.store.tables.schema import metadata, refers, text, time

applied_listings = sa.Table(
    "applied_listings",
    metadata,
    sa.Column("run_id", sa.Uuid, primary_key=True),
    refers("supplier_id", "suppliers"),
    text("digest"),
    sa.Column("listing_revision", sa.BigInteger, nullable=False),
    # None where it was applied before epochs were kept.
    sa.Column("listing_epoch", sa.Uuid),
    sa.Column("counts", JSONB, nullable=False),
    time("applied_at"),
)

refused_listings = sa.Table(
    "refused_listings",
    metadata,
    sa.Column("run_id", sa.Uuid, primary_key=True),
    time("refused_at"),
)
