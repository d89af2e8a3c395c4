"""Tables of the schema `catalog`; a deleted row stays, marked, so that what refers to it can be told."""

from modelbus.catalog.store.tables.access import (
    access_key_models,
    access_key_scopes,
    access_keys,
    consumer_models,
    consumer_scopes,
    consumers,
)
from modelbus.catalog.store.tables.health import health_claims
from modelbus.catalog.store.tables.history import audit, versions
from modelbus.catalog.store.tables.identity import api_tokens, attempts, refresh_tokens, sessions, signing_keys, users
from modelbus.catalog.store.tables.labels import capabilities, categories, heard_usage, model_usage, tags
from modelbus.catalog.store.tables.listings import applied_listings, refused_listings
from modelbus.catalog.store.tables.models import models, sources
from modelbus.catalog.store.tables.prices import charge_prices, cost_prices, price_schedules
from modelbus.catalog.store.tables.refusals import credential_refusals
from modelbus.catalog.store.tables.routing import (
    chain_steps,
    chains,
    complexity_levels,
    complexity_routings,
    scope_models,
    scopes,
    split_arms,
    split_shadows,
    splits,
    strategies,
    strategy_models,
)
from modelbus.catalog.store.tables.schema import SCHEMA, metadata
from modelbus.catalog.store.tables.suppliers import credential_models, credentials, suppliers
from modelbus.chassis.idempotency import Idempotency
from modelbus.chassis.outbox import Outbox
from modelbus.chassis.parking import Parking

outbox = Outbox(metadata, service=SCHEMA)
parking = Parking(metadata)
idempotency = Idempotency(metadata)

__all__ = [
    "SCHEMA",
    "access_key_models",
    "access_key_scopes",
    "access_keys",
    "api_tokens",
    "applied_listings",
    "attempts",
    "audit",
    "capabilities",
    "categories",
    "chain_steps",
    "chains",
    "charge_prices",
    "complexity_levels",
    "complexity_routings",
    "consumer_models",
    "consumer_scopes",
    "consumers",
    "cost_prices",
    "credential_models",
    "credential_refusals",
    "credentials",
    "health_claims",
    "heard_usage",
    "idempotency",
    "metadata",
    "model_usage",
    "models",
    "outbox",
    "parking",
    "price_schedules",
    "refresh_tokens",
    "refused_listings",
    "scope_models",
    "scopes",
    "sessions",
    "signing_keys",
    "sources",
    "split_arms",
    "split_shadows",
    "splits",
    "strategies",
    "strategy_models",
    "suppliers",
    "tags",
    "users",
    "versions",
]
