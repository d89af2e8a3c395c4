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
    sa.Column("requested_by", sa.Text),
    sa.Column("pages_read", sa.Integer),
    sa.Column("bytes_read", sa.BigInteger),
    sa.Column("digest", sa.Text),
    sa.Column("listed_count", sa.Integer),
    sa.Column("left_out_count", sa.Integer),
    sa.Column("ignored_count", sa.Integer),
    sa.Column("held_prices_count", sa.Integer),
    sa.Column("declared_count", sa.BigInteger),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("body_digest", sa.Text),
    sa.Column("mark", sa.Text),
    sa.Column("added", sa.Integer),
    sa.Column("changed", sa.Integer),
    sa.Column("removed", sa.Integer),
    sa.Column("held", sa.Integer),
    sa.Column("unchanged", sa.Integer),
    sa.Column("suspicions", sa.ARRAY(sa.Text)),
    sa.Column("base_run_id", sa.Uuid),
    sa.Column("decided_by", sa.Text),
    sa.Column("decided_at", sa.DateTime(timezone=True)),
    sa.Column("applied_epoch", sa.Uuid),
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

raw_listings = sa.Table(
    "raw_listings",
    metadata,
    sa.Column("run_id", sa.Uuid, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("supplier_id", sa.Uuid, nullable=False),
    # What the supplier answered, page by page, packed as `actions.raw_listings` does it.
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("ix_raw_listings_supplier_id_kept_at", "supplier_id", "kept_at"),
)

ignore_rules = sa.Table(
    "ignore_rules",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("supplier_id", sa.Uuid),
    sa.Column("pattern", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index(
        "uq_ignore_rules_supplier_id_pattern", "supplier_id", "pattern", unique=True, postgresql_nulls_not_distinct=True
    ),
)

guards = sa.Table(
    "guards",
    metadata,
    sa.Column("supplier_id", sa.Uuid, primary_key=True),
    sa.Column("most_lost_share", sa.Float),
    sa.Column("most_growth", sa.Float),
    sa.Column("most_doubles", sa.Integer),
    sa.Column("minds_declared", sa.Boolean),
    sa.Column("set_by", sa.Text, nullable=False),
    sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
)

watches = sa.Table(
    "watches",
    metadata,
    sa.Column("supplier_id", sa.Uuid, primary_key=True),
    sa.Column("base_url", sa.Text, nullable=False),
    sa.Column("is_local", sa.Boolean, nullable=False),
    sa.Column("health", sa.Text, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    # The few looks that count, as a JSON list of `domain.probes.Look`, the newest last.
    sa.Column("looks", JSONB, nullable=False),
    sa.Column("last_ok_at", sa.DateTime(timezone=True)),
    sa.Column("traffic_ok_at", sa.DateTime(timezone=True)),
    sa.Column("traffic_failed_at", sa.DateTime(timezone=True)),
    sa.Column("told_health", sa.Text, nullable=False),
    sa.Column("told_at", sa.DateTime(timezone=True)),
    sa.Index("ix_watches_due_at", "due_at"),
)

token_probes = sa.Table(
    "token_probes",
    metadata,
    sa.Column("supplier_id", sa.Uuid, primary_key=True),
    sa.Column("upstream_name", sa.Text, nullable=False),
    sa.Column("interval_s", sa.Integer, nullable=False),
    sa.Column("daily_calls", sa.Integer, nullable=False),
    sa.Column("daily_cost", sa.Numeric),
    sa.Column("is_reasoning", sa.Boolean),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("cost", sa.Numeric, nullable=False),
)

metadata_files = sa.Table(
    "metadata_files",
    metadata,
    # What the operator calls it.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("shape", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("entries", sa.Integer),
    sa.Column("left_out", sa.Integer),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("changed_at", sa.DateTime(timezone=True)),
    sa.Column("checked_at", sa.DateTime(timezone=True)),
    sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("error", sa.Text),
    # As it came, compressed with zlib.
    sa.Column("body", sa.LargeBinary),
)
