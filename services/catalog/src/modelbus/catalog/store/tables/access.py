"""Who may call: access keys and what they open."""

import sqlalchemy as sa

from modelbus.catalog.store.tables.schema import flag, key, life, metadata, refers, text, time, unique_while_it_lives

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
    sa.UniqueConstraint("key_hash"),
)
unique_while_it_lives(access_keys, "name")

access_key_models = sa.Table(
    "access_key_models",
    metadata,
    refers("access_key_id", "access_keys", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_access_key_models_model_id", access_key_models.c.model_id)
