"""Tables of the schema `sync`."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from modelbus.chassis.outbox import Outbox
from modelbus.chassis.parking import Parking

SCHEMA = "sync"

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

outbox = Outbox(metadata, service=SCHEMA)
parking = Parking(metadata)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("supplier_id", sa.Uuid, nullable=False),
    sa.Column("supplier_name", sa.Text),
    sa.Column("cause", sa.Text, nullable=False),
    sa.Column("catalog_epoch", sa.Uuid),
    sa.Column("catalog_revision", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("started_at", sa.DateTime(timezone=True)),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("times_taken", sa.Integer, nullable=False),
    sa.Column("times_lost", sa.Integer, nullable=False),
    sa.Column("leased_until", sa.DateTime(timezone=True)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("digest", sa.Text),
    sa.Column("listed_count", sa.Integer),
    sa.Column("left_out_count", sa.Integer),
    sa.Column("added", sa.Integer),
    sa.Column("changed", sa.Integer),
    sa.Column("removed", sa.Integer),
    sa.Column("held", sa.Integer),
    sa.Column("unchanged", sa.Integer),
    sa.Column("suspicions", sa.ARRAY(sa.Text)),
    sa.Column("base_run_id", sa.Uuid),
    sa.Column("decided_by", sa.Text),
    sa.Index("ix_runs_supplier_id_requested_at", "supplier_id", "requested_at"),
    sa.Index("ix_runs_waiting", "requested_at", postgresql_where=sa.text("status IN ('requested', 'fetching')")),
    # PostgreSQL itself sees to it that no supplier is asked twice at a time, however many replicas there are.
    sa.Index("uq_runs_fetching", "supplier_id", unique=True, postgresql_where=sa.text("status = 'fetching'")),
)

listings = sa.Table(
    "listings",
    metadata,
    sa.Column("run_id", sa.Uuid, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("supplier_id", sa.Uuid, nullable=False),
    # A contracts.sync.Listing as JSON, compressed with zlib.
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("left_out", JSONB, nullable=False),
    sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("ix_listings_supplier_id_fetched_at", "supplier_id", "fetched_at"),
)
