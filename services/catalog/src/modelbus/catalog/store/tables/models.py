"""Models and the sources that serve them."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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

models = sa.Table(
    "models",
    metadata,
    key(),
    text("name"),
    sa.Column("aliases", ARRAY(sa.Text), nullable=False),
    text("display_name"),
    text("description", nullable=True),
    text("model_type"),
    number("context_window", nullable=True),
    number("max_output_tokens", nullable=True),
    flag("is_active"),
    flag("is_available"),
    text("reason", nullable=True),
    time("since"),
    sa.Column("provenance", JSONB, nullable=False),
    *life(),
)
unique_while_it_lives(models, "name")
sa.Index("ix_models_aliases", models.c.aliases, postgresql_using="gin")

sources = sa.Table(
    "sources",
    metadata,
    key(),
    refers("model_id", "models"),
    refers("supplier_id", "suppliers"),
    text("upstream_name"),
    text("origin"),
    flag("is_enabled"),
    number("missed"),
    flag("is_listed"),
    flag("is_available"),
    text("reason", nullable=True),
    time("since"),
    number("priority"),
    number("weight"),
    sa.Column("cost", JSONB, nullable=False),
    time("first_seen_at"),
    time("last_seen_at"),
    *life(),
)
unique_while_it_lives(sources, "supplier_id", "upstream_name")
sa.Index("ix_sources_model_id", sources.c.model_id)
