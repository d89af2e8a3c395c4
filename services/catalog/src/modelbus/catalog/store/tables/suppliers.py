"""Suppliers and their credentials."""

import sqlalchemy as sa

from modelbus.catalog.store.tables.schema import (
    flag,
    key,
    life,
    metadata,
    number,
    refers,
    text,
    time,
    unique_while_it_lives,
)

suppliers = sa.Table(
    "suppliers",
    metadata,
    key(),
    text("name"),
    text("display_name"),
    text("description", nullable=True),
    text("kind"),
    text("base_url"),
    text("protocol"),
    text("flavour"),
    text("namespace", nullable=True),
    text("website", nullable=True),
    text("docs_url", nullable=True),
    flag("is_active"),
    flag("requires_credential"),
    flag("is_local"),
    number("removal_after"),
    number("sync_interval_s"),
    *life(),
    text("logo_url", nullable=True),
    text("category", nullable=True),
    text("listing_url", nullable=True),
)
unique_while_it_lives(suppliers, "name")

credentials = sa.Table(
    "credentials",
    metadata,
    key(),
    refers("supplier_id", "suppliers"),
    text("name"),
    text("sealed"),
    text("hint"),
    flag("is_active"),
    number("priority"),
    text("state"),
    *life(),
    sa.Column("weight", sa.Integer, nullable=False, server_default="1"),
    sa.Column("is_restricted", sa.Boolean, nullable=False, server_default=sa.false()),
    number("rpm_limit", nullable=True),
    number("tpm_limit", nullable=True),
    text("state_reason", nullable=True),
    time("state_until", nullable=True),
    sa.Column("generation", sa.Integer, nullable=False, server_default="1"),
    time("last_used_at", nullable=True),
    time("state_since", nullable=True),
)
unique_while_it_lives(credentials, "supplier_id", "name")
sa.Index(
    "ix_credentials_state_until", credentials.c.state_until, postgresql_where=credentials.c.state_until.is_not(None)
)

credential_models = sa.Table(
    "credential_models",
    metadata,
    refers("credential_id", "credentials", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_credential_models_model_id", credential_models.c.model_id)
