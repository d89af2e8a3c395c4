"""Chains, complexity routing and scopes: what refers to models and sources."""

import sqlalchemy as sa

from modelbus.catalog.store.tables.schema import flag, key, life, metadata, number, refers, text, unique_while_it_lives

chains = sa.Table(
    "chains", metadata, key(), text("name"), text("description", nullable=True), flag("is_active"), *life()
)
unique_while_it_lives(chains, "name")

chain_steps = sa.Table(
    "chain_steps",
    metadata,
    key(),
    refers("chain_id", "chains"),
    number("position"),
    refers("model_id", "models"),
    refers("source_id", "sources", nullable=True),
    sa.UniqueConstraint("chain_id", "position", deferrable=True, initially="DEFERRED"),
)
sa.Index("ix_chain_steps_model_id", chain_steps.c.model_id)

complexity_routings = sa.Table(
    "complexity_routings",
    metadata,
    key(),
    text("name"),
    text("description", nullable=True),
    flag("is_active"),
    *life(),
)
unique_while_it_lives(complexity_routings, "name")

complexity_levels = sa.Table(
    "complexity_levels",
    metadata,
    refers("routing_id", "complexity_routings", is_key=True),
    sa.Column("level", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_complexity_levels_model_id", complexity_levels.c.model_id)

scopes = sa.Table(
    "scopes",
    metadata,
    key(),
    text("name"),
    text("description", nullable=True),
    flag("is_active"),
    refers("default_model_id", "models", nullable=True),
    *life(),
)
unique_while_it_lives(scopes, "name")

scope_models = sa.Table(
    "scope_models",
    metadata,
    refers("scope_id", "scopes", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_scope_models_model_id", scope_models.c.model_id)
