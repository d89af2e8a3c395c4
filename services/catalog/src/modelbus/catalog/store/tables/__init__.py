"""Tables of the schema `catalog`; a deleted row stays, marked, so that what refers to it can be told."""

from modelbus.catalog.store.tables.access import access_key_models, access_keys
from modelbus.catalog.store.tables.history import audit, versions
from modelbus.catalog.store.tables.listings import applied_listings
from modelbus.catalog.store.tables.models import models, sources
from modelbus.catalog.store.tables.routing import (
    chain_steps,
    chains,
    complexity_levels,
    complexity_routings,
    scope_models,
    scopes,
)
from modelbus.catalog.store.tables.schema import SCHEMA, metadata
from modelbus.catalog.store.tables.suppliers import credentials, suppliers
from modelbus.chassis.idempotency import Idempotency
from modelbus.chassis.outbox import Outbox
from modelbus.chassis.parking import Parking

outbox = Outbox(metadata, service=SCHEMA)
parking = Parking(metadata)
idempotency = Idempotency(metadata)

__all__ = [
    "SCHEMA",
    "access_key_models",
    "access_keys",
    "applied_listings",
    "audit",
    "chain_steps",
    "chains",
    "complexity_levels",
    "complexity_routings",
    "credentials",
    "idempotency",
    "metadata",
    "models",
    "outbox",
    "parking",
    "scope_models",
    "scopes",
    "sources",
    "suppliers",
    "versions",
]
