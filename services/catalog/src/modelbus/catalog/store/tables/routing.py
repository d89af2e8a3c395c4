"""Chains, splits, complexity routing, cost strategies and scopes: what refers to models and sources."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from modelbus.catalog.store.tables.schema import flag, key, life, metadata, number, refers, text, unique_while_it_lives

chains = sa.Table(
    "chains",
    metadata,
    key(),
    text("name"),
    text("description", nullable=True),
    flag("is_active"),
    *life(),
    sa.Column("origin", sa.Text, nullable=False, server_default="administrator"),
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
    sa.Column("triggers", ARRAY(sa.Text), nullable=False, server_default="{any}"),
    text("protocol", nullable=True),
    sa.Column("features", JSONB(none_as_null=True)),
    sa.UniqueConstraint("chain_id", "position", deferrable=True, initially="DEFERRED"),
)
sa.Index("ix_chain_steps_model_id", chain_steps.c.model_id)
sa.Index("ix_chain_steps_source_id", chain_steps.c.source_id)

splits = sa.Table(
    "splits",
    metadata,
    key(),
    text("name"),
    text("description", nullable=True),
    flag("is_active"),
    text("sticky_by"),
    *life(),
)
unique_while_it_lives(splits, "name")

split_arms = sa.Table(
    "split_arms",
    metadata,
    refers("split_id", "splits", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    text("name"),
    refers("model_id", "models"),
    refers("source_id", "sources", nullable=True),
    number("weight"),
)
sa.Index("ix_split_arms_model_id", split_arms.c.model_id)
sa.Index("ix_split_arms_source_id", split_arms.c.source_id)

split_shadows = sa.Table(
    "split_shadows",
    metadata,
    refers("split_id", "splits", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    text("name"),
    refers("model_id", "models"),
    refers("source_id", "sources", nullable=True),
    sa.Column("percent", sa.Double, nullable=False),
)
sa.Index("ix_split_shadows_model_id", split_shadows.c.model_id)
sa.Index("ix_split_shadows_source_id", split_shadows.c.source_id)

complexity_routings = sa.Table(
    "complexity_routings",
    metadata,
    key(),
    text("name"),
    text("description", nullable=True),
    flag("is_active"),
    *life(),
    # The classifier: all null where the routing has none of its own.
    sa.Column("thresholds", ARRAY(sa.Double)),
    sa.Column("is_sticky", sa.Boolean),
    refers("judge_model_id", "models", nullable=True),
    number("judge_timeout_ms", nullable=True),
)
unique_while_it_lives(complexity_routings, "name")
sa.Index("ix_complexity_routings_judge_model_id", complexity_routings.c.judge_model_id)

complexity_levels = sa.Table(
    "complexity_levels",
    metadata,
    refers("routing_id", "complexity_routings", is_key=True),
    sa.Column("level", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_complexity_levels_model_id", complexity_levels.c.model_id)

strategies = sa.Table(
    "strategies",
    metadata,
    key(),
    text("name"),
    text("description", nullable=True),
    flag("is_active"),
    *(sa.Column(f"{each}_weight", sa.Double, nullable=False) for each in ("cost", "latency", "success", "quality")),
    sa.Column("max_input_price", sa.Numeric),
    sa.Column("max_output_price", sa.Numeric),
    number("max_latency_ms", nullable=True),
    flag("is_restricted"),
    *life(),
)
unique_while_it_lives(strategies, "name")

strategy_models = sa.Table(
    "strategy_models",
    metadata,
    refers("strategy_id", "strategies", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_strategy_models_model_id", strategy_models.c.model_id)

scopes = sa.Table(
    "scopes",
    metadata,
    key(),
    text("name"),
    text("description", nullable=True),
    flag("is_active"),
    refers("default_model_id", "models", nullable=True),
    *life(),
    text("domain", nullable=True),
    refers("strategy_id", "strategies", nullable=True),
    number("response_cache_s", nullable=True),
)
unique_while_it_lives(scopes, "name")
sa.Index("ix_scopes_default_model_id", scopes.c.default_model_id)
sa.Index("ix_scopes_strategy_id", scopes.c.strategy_id)

scope_models = sa.Table(
    "scope_models",
    metadata,
    refers("scope_id", "scopes", is_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    refers("model_id", "models"),
)
sa.Index("ix_scope_models_model_id", scope_models.c.model_id)
