"""What observers say of suppliers and sources."""

import sqlalchemy as sa

from modelbus.catalog.store.tables.schema import flag, metadata, text, time

health_claims = sa.Table(
    "health_claims",
    metadata,
    # A source or a supplier, which may be gone, or not be there yet: observers are not asked to know.
    sa.Column("subject_id", sa.Uuid, primary_key=True),
    sa.Column("observer", sa.Text, primary_key=True),
    sa.Column("supplier_id", sa.Uuid, nullable=False),
    text("health"),
    time("since"),
    time("observed_at"),
    text("reason", nullable=True),
    flag("is_settled"),
    sa.Index("ix_health_claims_supplier_id", "supplier_id"),
    sa.Index("ix_health_claims_observed_at", "observed_at"),
)
sa.Index("ix_health_claims_unsettled", health_claims.c.observed_at, postgresql_where=~health_claims.c.is_settled)
