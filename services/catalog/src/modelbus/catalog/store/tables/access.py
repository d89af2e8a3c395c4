"""Who may call: consumers, their access keys, and what both open."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

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

consumers = sa.Table(
    "consumers",
    metadata,
    key(),
    text("name"),
    text("kind"),
    text("tier"),
    text("description", nullable=True),
    flag("is_active"),
    flag("is_restricted"),
    flag("is_scope_restricted"),
    number("rpm_limit", nullable=True),
    number("tpm_limit", nullable=True),
    number("concurrency_limit", nullable=True),
    sa.Column("budgets", JSONB, nullable=False),
    *life(),
)
unique_while_it_lives(consumers, "name")

consumer_models = sa.Table(
    "consumer_models",
    metadata,
    refers("consumer_id", "consumers", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_consumer_models_model_id", consumer_models.c.model_id)

consumer_scopes = sa.Table(
    "consumer_scopes",
    metadata,
    refers("consumer_id", "consumers", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("scope_id", "scopes"),
)
sa.Index("ix_consumer_scopes_scope_id", consumer_scopes.c.scope_id)

access_keys = sa.Table(
    "access_keys",
    metadata,
    key(),
    text("name"),
    text("prefix"),
    text("key_hash"),
    flag("is_active"),
    flag("is_restricted"),
    time("expires_at", nullable=True),
    *life(),
    refers("consumer_id", "consumers", nullable=True),
    sa.Column("is_scope_restricted", sa.Boolean, nullable=False, server_default=sa.false()),
    number("rpm_limit", nullable=True),
    number("tpm_limit", nullable=True),
    number("concurrency_limit", nullable=True),
    sa.Column("budgets", JSONB, nullable=False, server_default="{}"),
    text("previous_key_hash", nullable=True),
    time("previous_expires_at", nullable=True),
    time("last_used_at", nullable=True),
    sa.UniqueConstraint("key_hash"),
)
unique_while_it_lives(access_keys, "name")
sa.Index("ix_access_keys_consumer_id", access_keys.c.consumer_id)
sa.Index(
    "ix_access_keys_previous_expires_at",
    access_keys.c.previous_expires_at,
    postgresql_where=access_keys.c.previous_expires_at.is_not(None),
)

access_key_models = sa.Table(
    "access_key_models",
    metadata,
    refers("access_key_id", "access_keys", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_access_key_models_model_id", access_key_models.c.model_id)

access_key_scopes = sa.Table(
    "access_key_scopes",
    metadata,
    refers("access_key_id", "access_keys", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("scope_id", "scopes"),
)
sa.Index("ix_access_key_scopes_scope_id", access_key_scopes.c.scope_id)
