"""The tables of integrity; whatever was once known or found stays, so names in old findings can still be read."""

import sqlalchemy as sa
from sqlalchemy import Column
from sqlalchemy.dialects.postgresql import JSONB

from modelbus.chassis.outbox import Outbox
from modelbus.chassis.parking import Parking

SCHEMA = "integrity"

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


# A parking also holds the service's connections, so each assembled service has its own over this same table.
Parking(metadata)

index_head = sa.Table(
    "index_head",
    metadata,
    Column("singleton", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.CheckConstraint("singleton", name="singleton"),
    Column("epoch", sa.Uuid),  # NULL until a snapshot was loaded
    Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    Column("loaded_revision", sa.BigInteger, nullable=False, server_default="0"),
    Column("judged_on", sa.Date),
    Column("swept_on", sa.Date),
)


records = sa.Table(
    "records",
    metadata,
    Column("kind", sa.Text, primary_key=True),
    Column("id", sa.Uuid, primary_key=True),
    Column("revision", sa.BigInteger, nullable=False),
    Column("digest", sa.Numeric(39, 0), nullable=False),
    # Text, not JSON: it is read by a decoder of ours, never by PostgreSQL.
    Column("record", sa.Text),
    Column("name", sa.Text, index=True),
    Column("is_active", sa.Boolean, nullable=False),
    Column("model_id", sa.Uuid, index=True),
)

references = sa.Table(
    "references",
    metadata,
    Column("holder_kind", sa.Text, primary_key=True),
    Column("holder_id", sa.Uuid, primary_key=True),
    Column("place_key", sa.Text, primary_key=True),
    Column("ordinal", sa.Integer, nullable=False),
    Column("place", sa.Text, nullable=False),
    Column("serves", sa.Text, nullable=False),
    Column("target_kind", sa.Text, nullable=False),
    Column("target_id", sa.Uuid, nullable=False, index=True),
    Column("model_id", sa.Uuid, nullable=False, index=True),
    Column("role", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(["holder_kind", "holder_id"], [records.c.kind, records.c.id]),
)

findings = sa.Table(
    "findings",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("rule", sa.Text, nullable=False),
    Column("holder_kind", sa.Text, nullable=False),
    Column("holder_id", sa.Uuid, nullable=False),
    Column("place_key", sa.Text, nullable=False),
    Column("place", sa.Text, nullable=False),
    Column("target_kind", sa.Text, nullable=False),
    Column("target_id", sa.Uuid, nullable=False),
    Column("severity", sa.Text, nullable=False),
    Column("reason", sa.Text, nullable=False),
    Column("target_name", sa.Text),
    Column("evidence", JSONB, nullable=False, server_default="{}"),
    Column("state", sa.Text, nullable=False),
    Column("since", sa.DateTime(timezone=True), nullable=False),
    Column("opened_at", sa.DateTime(timezone=True), nullable=False),
    Column("opened_revision", sa.BigInteger, nullable=False),
    Column("resolution", sa.Text),
    Column("closed_at", sa.DateTime(timezone=True)),
    Column("closed_revision", sa.BigInteger),
    Column("acknowledged_at", sa.DateTime(timezone=True)),
    Column("acknowledged_by", sa.Text),
    sa.ForeignKeyConstraint(["holder_kind", "holder_id"], [records.c.kind, records.c.id]),
    # One finding at a time of a fault, however often it is noticed and by however many replicas.
    sa.Index(
        "uq_findings_unresolved",
        "rule",
        "holder_kind",
        "holder_id",
        "place_key",
        "target_kind",
        "target_id",
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
    ),
    sa.Index("ix_findings_holder_id", "holder_id"),
    sa.Index("ix_findings_target_id", "target_id"),
)

usage_hours = sa.Table(
    "usage_hours",
    metadata,
    Column("hour", sa.DateTime(timezone=True), primary_key=True),
    Column("target_id", sa.Uuid, primary_key=True),  # the nil UUID counts all requests
    Column("requests", sa.BigInteger, nullable=False),
    Column("failures", sa.BigInteger, nullable=False),
)

heard_usage = sa.Table(
    "heard_usage",
    metadata,
    Column("event_id", sa.Uuid, primary_key=True),
    Column("told_at", sa.DateTime(timezone=True), nullable=False, index=True),
)

repairs = sa.Table(
    "repairs",
    metadata,
    Column("finding_id", sa.Uuid, sa.ForeignKey(findings.c.id), primary_key=True),
    Column("remedy", sa.Text, nullable=False),
    Column("model_id", sa.Uuid),
    Column("applied_by", sa.Text, nullable=False),
    Column("applied_at", sa.DateTime(timezone=True), nullable=False),
    Column("idempotency_key", sa.Text),
    Column("holder_path", sa.Text, nullable=False),
    Column("version_before", sa.BigInteger),
    Column("version_after", sa.BigInteger),
    sa.Index("uq_repairs_applied_by_idempotency_key", "applied_by", "idempotency_key", unique=True),
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    Column("id", sa.Uuid, primary_key=True),
    Column("asked_by", sa.Text),  # NULL for the one of each night
    Column("started_at", sa.DateTime(timezone=True), nullable=False),
    Column("finished_at", sa.DateTime(timezone=True), nullable=False),
    Column("revision", sa.BigInteger, nullable=False),
    Column("checked", sa.BigInteger, nullable=False),
    Column("drift", JSONB, nullable=False),
    Column("opened", sa.BigInteger, nullable=False),
    Column("closed", sa.BigInteger, nullable=False),
)

skips = sa.Table(
    "skips",
    metadata,
    Column("holder_kind", sa.Text, primary_key=True),
    Column("holder_id", sa.Uuid, primary_key=True),
    Column("place_key", sa.Text, primary_key=True),
    Column("target_id", sa.Uuid, primary_key=True),
    Column("reason", sa.Text, nullable=False),
    Column("times", sa.BigInteger, nullable=False),
    Column("skipped_at", sa.DateTime(timezone=True), nullable=False),
    Column("catalog_revision", sa.BigInteger, nullable=False),
    Column("heard_at", sa.DateTime(timezone=True), nullable=False),
)
