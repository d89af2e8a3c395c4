"""Tables of the schema `catalog`; a deleted row stays, marked, so that what refers to it can be told."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from modelbus.chassis.outbox import Outbox
from modelbus.chassis.parking import Parking

SCHEMA = "catalog"

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=nullable)


def _refers(name: str, table: str, *, nullable: bool = False, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Uuid, sa.ForeignKey(f"{table}.id"), nullable=nullable, primary_key=key)


def _times() -> list[sa.Column[Any]]:
    return [_time("created_at"), _time("updated_at"), _time("deleted_at", nullable=True)]


def _unique_while_it_lives(table: sa.Table, *columns: str) -> None:
    """A deleted thing's name may be used again."""
    sa.Index(
        f"uq_{table.name}_{'_'.join(columns)}",
        *(table.c[column] for column in columns),
        unique=True,
        postgresql_where=table.c.deleted_at.is_(None),
    )


outbox = Outbox(metadata, service=SCHEMA)
parking = Parking(metadata)

suppliers = sa.Table(
    "suppliers",
    metadata,
    _id(),
    _text("name"),
    _text("display_name"),
    _text("description", nullable=True),
    _text("kind"),
    _text("base_url"),
    _text("protocol"),
    _text("flavour"),
    _text("namespace", nullable=True),
    _text("website", nullable=True),
    _text("docs_url", nullable=True),
    _flag("is_active"),
    _flag("requires_credential"),
    _flag("is_local"),
    _number("removal_after"),
    _number("sync_interval_s"),
    *_times(),
)
_unique_while_it_lives(suppliers, "name")

credentials = sa.Table(
    "credentials",
    metadata,
    _id(),
    _refers("supplier_id", "suppliers"),
    _text("name"),
    _text("sealed"),
    _text("hint"),
    _flag("is_active"),
    _number("priority"),
    _text("state"),
    *_times(),
)
_unique_while_it_lives(credentials, "supplier_id", "name")

models = sa.Table(
    "models",
    metadata,
    _id(),
    _text("name"),
    sa.Column("aliases", ARRAY(sa.Text), nullable=False),
    _text("display_name"),
    _text("description", nullable=True),
    _text("model_type"),
    _number("context_window", nullable=True),
    _number("max_output_tokens", nullable=True),
    _flag("is_active"),
    _flag("is_available"),
    _text("reason", nullable=True),
    _time("since"),
    sa.Column("provenance", JSONB, nullable=False),
    *_times(),
)
_unique_while_it_lives(models, "name")
sa.Index("ix_models_aliases", models.c.aliases, postgresql_using="gin")

sources = sa.Table(
    "sources",
    metadata,
    _id(),
    _refers("model_id", "models"),
    _refers("supplier_id", "suppliers"),
    _text("upstream_name"),
    _text("origin"),
    _flag("is_enabled"),
    _number("missed"),
    _flag("is_listed"),
    _flag("is_available"),
    _text("reason", nullable=True),
    _time("since"),
    _number("priority"),
    _number("weight"),
    sa.Column("cost", JSONB, nullable=False),
    _time("first_seen_at"),
    _time("last_seen_at"),
    *_times(),
)
_unique_while_it_lives(sources, "supplier_id", "upstream_name")
sa.Index("ix_sources_model_id", sources.c.model_id)

chains = sa.Table(
    "chains", metadata, _id(), _text("name"), _text("description", nullable=True), _flag("is_active"), *_times()
)
_unique_while_it_lives(chains, "name")

chain_steps = sa.Table(
    "chain_steps",
    metadata,
    _id(),
    _refers("chain_id", "chains"),
    _number("position"),
    _refers("model_id", "models"),
    _refers("source_id", "sources", nullable=True),
    sa.UniqueConstraint("chain_id", "position", deferrable=True, initially="DEFERRED"),
)
sa.Index("ix_chain_steps_model_id", chain_steps.c.model_id)

complexity_routings = sa.Table(
    "complexity_routings",
    metadata,
    _id(),
    _text("name"),
    _text("description", nullable=True),
    _flag("is_active"),
    *_times(),
)
_unique_while_it_lives(complexity_routings, "name")

complexity_levels = sa.Table(
    "complexity_levels",
    metadata,
    _refers("routing_id", "complexity_routings", key=True),
    sa.Column("level", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    _refers("model_id", "models"),
)
sa.Index("ix_complexity_levels_model_id", complexity_levels.c.model_id)

scopes = sa.Table(
    "scopes",
    metadata,
    _id(),
    _text("name"),
    _text("description", nullable=True),
    _flag("is_active"),
    _refers("default_model_id", "models", nullable=True),
    *_times(),
)
_unique_while_it_lives(scopes, "name")

scope_models = sa.Table(
    "scope_models",
    metadata,
    _refers("scope_id", "scopes", key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    _refers("model_id", "models"),
)
sa.Index("ix_scope_models_model_id", scope_models.c.model_id)

access_keys = sa.Table(
    "access_keys",
    metadata,
    _id(),
    _text("name"),
    _text("prefix"),
    _text("key_hash"),
    _flag("is_active"),
    _flag("is_restricted"),
    _time("expires_at", nullable=True),
    *_times(),
    sa.UniqueConstraint("key_hash"),
)
_unique_while_it_lives(access_keys, "name")

access_key_models = sa.Table(
    "access_key_models",
    metadata,
    _refers("access_key_id", "access_keys", key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    _refers("model_id", "models"),
)
sa.Index("ix_access_key_models_model_id", access_key_models.c.model_id)

applied_listings = sa.Table(
    "applied_listings",
    metadata,
    sa.Column("run_id", sa.Uuid, primary_key=True),
    _refers("supplier_id", "suppliers"),
    _text("digest"),
    sa.Column("listing_revision", sa.BigInteger, nullable=False),
    sa.Column("counts", JSONB, nullable=False),
    _time("applied_at"),
)
