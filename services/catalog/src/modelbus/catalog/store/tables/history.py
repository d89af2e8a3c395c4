"""What was changed by whom: versions of the configuration, and the audit log; both only grow."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from modelbus.catalog.store.tables.schema import key, metadata, number, text, time

audit = sa.Table(
    "audit",
    metadata,
    key(),
    time("at"),
    sa.Column("caller_id", sa.Uuid),
    text("caller_name"),
    text("caller_role"),
    text("action"),
    text("outcome"),
    text("request_id", nullable=True),
    number("changes"),
    sa.Column("detail", JSONB, nullable=False),
)
sa.Index("ix_audit_at", audit.c.at)
sa.Index("ix_audit_caller_name", audit.c.caller_name)

versions = sa.Table(
    "versions",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("thing_id", sa.Uuid, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    text("name"),
    sa.Column("audit_id", sa.Uuid, sa.ForeignKey("audit.id")),
    time("at"),
    sa.Column("caller_id", sa.Uuid),
    text("caller_name"),
    text("caller_role"),
    sa.Column("document", JSONB(none_as_null=True)),
    sa.Column("changed", JSONB, nullable=False),
)
sa.Index("ix_versions_audit_id", versions.c.audit_id)
sa.Index("ix_versions_at", versions.c.at)
