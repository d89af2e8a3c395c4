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

TRIGRAMS = "extensions.gin_trgm_ops"
LABELS = ("category_ids", "tag_ids", "untagged_ids", "rule_tag_ids")
"""Arrays rather than tables between: a model is read, written and compared whole, and an index finds its labels."""

AFTER_RETIRED = ("no_credential", "delisted", "unhealthy")
"""Reasons of sources that come after `retired`."""

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
    text("custom_name", nullable=True),
    text("sub_type", nullable=True),
    sa.Column("knowledge_cutoff", sa.Date),
    sa.Column("lifecycle", sa.Text, nullable=False, server_default="active"),
    time("deprecated_at", nullable=True),
    time("retires_at", nullable=True),
    refers("replacement_model_id", "models", nullable=True),
    sa.Column("tier", sa.Text, nullable=False, server_default="free"),
    sa.Column("is_featured", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("is_default", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("capabilities", JSONB, nullable=False, server_default="{}"),
    sa.Column("parameters", JSONB, nullable=False, server_default="[]"),
    *(sa.Column(name, ARRAY(sa.Uuid), nullable=False, server_default="{}") for name in LABELS),
    text("modalities", nullable=True),
)
unique_while_it_lives(models, "name")
for _column in ("aliases", "capabilities", *LABELS):
    sa.Index(f"ix_models_{_column}", models.c[_column], postgresql_using="gin")
is_aliased = sa.func.cardinality(models.c.aliases) > sa.literal_column("0")
sa.Index("ix_models_aliased", models.c.id, postgresql_where=models.c.deleted_at.is_(None) & is_aliased)
sa.Index("ix_models_replacement_model_id", models.c.replacement_model_id)
is_not_retired_yet = sa.and_(
    models.c.deleted_at.is_(None),
    models.c.is_active,
    models.c.retires_at.is_not(None),
    models.c.reason.is_distinct_from(sa.literal_column("'retired'")),
)
sa.Index("ix_models_retires_at", models.c.retires_at, postgresql_where=is_not_retired_yet)
for _column in ("display_name", "updated_at"):
    sa.Index(f"ix_models_{_column}", models.c[_column], models.c.id, postgresql_where=models.c.deleted_at.is_(None))
context_window_or_none = sa.func.coalesce(models.c.context_window, sa.literal_column("0"))
"""Pages need a value to go on from; no window is counted as the smallest."""
sa.Index(
    "ix_models_context_window", context_window_or_none, models.c.id, postgresql_where=models.c.deleted_at.is_(None)
)
alias_text = sa.func.catalog.text_of(models.c.aliases, type_=sa.Text)
"""All aliases as one text: a function of our own, as PostgreSQL's is not sure that it always answers the same."""
SEARCHED = ("name", "display_name", "custom_name", "description")
"""Where people look for a model, beside its aliases."""
sa.Index(
    "ix_models_searched",
    *(models.c[name] for name in SEARCHED),
    alias_text.label("alias_text"),
    postgresql_using="gin",
    postgresql_ops=dict.fromkeys([*SEARCHED, "alias_text"], TRIGRAMS),
)
sa.Index(
    "uq_models_default_of_type",
    models.c.model_type,
    unique=True,
    postgresql_where=models.c.is_default & models.c.deleted_at.is_(None),
)

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
    text("protocol", nullable=True),
    sa.Column("features", JSONB(none_as_null=True)),
    sa.Column("health", sa.Text, nullable=False, server_default="unknown"),
    sa.Column("cost_origin", sa.Text, nullable=False, server_default="listing"),
    time("first_seen_at"),
    time("last_seen_at"),
    *life(),
    time("deprecated_at", nullable=True),
    time("retires_at", nullable=True),
    text("replacement", nullable=True),
    time("unhealthy_at", nullable=True),
    sa.Column("said", JSONB, nullable=False, server_default="{}"),
    sa.Column("background", JSONB(none_as_null=True)),
)
unique_while_it_lives(sources, "supplier_id", "upstream_name")
# With what lists of models count and compare, so that they need not read the sources themselves.
sa.Index("ix_sources_model_id", sources.c.model_id, postgresql_include=["deleted_at", "is_available", "health"])
for _column in ("upstream_name", "priority", "updated_at"):
    sa.Index(f"ix_sources_{_column}", sources.c[_column], sources.c.id, postgresql_where=sources.c.deleted_at.is_(None))
sa.Index(
    "ix_sources_unavailable",
    sources.c.reason,
    sources.c.id,
    postgresql_where=sources.c.deleted_at.is_(None) & ~sources.c.is_available,
)
is_not_judged_retired_yet = sa.and_(
    sources.c.deleted_at.is_(None),
    sources.c.retires_at.is_not(None),
    # What is unavailable for a reason that comes before stays so: it would be due for ever.
    sources.c.is_available | sources.c.reason.in_([sa.literal_column(f"'{reason}'") for reason in AFTER_RETIRED]),
)
sa.Index("ix_sources_retires_at", sources.c.retires_at, postgresql_where=is_not_judged_retired_yet)
sa.Index(
    "ix_sources_unhealthy_at",
    sources.c.unhealthy_at,
    postgresql_where=sources.c.deleted_at.is_(None) & sources.c.is_available & sources.c.unhealthy_at.is_not(None),
)
sa.Index(
    "ix_sources_searched",
    sources.c.upstream_name,
    postgresql_using="gin",
    postgresql_ops={"upstream_name": TRIGRAMS},
)
