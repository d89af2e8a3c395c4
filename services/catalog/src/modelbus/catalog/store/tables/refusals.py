"""What observers say of credentials that a supplier did not accept."""

import sqlalchemy as sa

from modelbus.catalog.store.tables.schema import metadata, number, time

credential_refusals = sa.Table(
    "credential_refusals",
    metadata,
    # Which may be gone: observers are not asked to know.
    sa.Column("credential_id", sa.Uuid, primary_key=True),
    sa.Column("observer", sa.Text, primary_key=True),
    number("generation"),
    number("status"),
    time("first_at"),
    time("last_at"),
    time("disproved_at", nullable=True),
    sa.Index("ix_credential_refusals_last_at", "last_at"),
)
