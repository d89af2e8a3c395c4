"""Suppliers and their credentials."""

import sqlalchemy as sa

from modelbus.catalog.store.tables.schema import flag, key, life, metadata, number, refers, text, unique_while_it_lives

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
)
unique_while_it_lives(credentials, "supplier_id", "name")
