"""Choosing without a router: what the balancer makes of a catalog and a request."""

from typing import Any
from uuid import uuid4

import msgspec

from modelbus.router.balance.balancer import Balancer
from modelbus.router.balance.choosing import Choice
from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.journey.ask import Ask
from modelbus.router.wire.endpoints import CHAT, Endpoint
from router.routers import MESSAGES
from router.seeding import Seed

ANYONE = AccessKey(uuid4(), "", is_active=True, expires_at=None, model_ids=None)


def an_ask(model: str = "m", *, scope: str | None = None, endpoint: Endpoint = CHAT, **fields: Any) -> Ask:
    written = {
        name: msgspec.Raw(msgspec.json.encode(value)) for name, value in ({"messages": MESSAGES} | fields).items()
    }
    return Ask(model, written, fields.get("stream", False), shows_usage=False, endpoint=endpoint, scope=scope)


def chosen(
    catalog: Seed | Table,
    ask: Ask | str = "m",
    caller: AccessKey = ANYONE,
    *,
    by: Balancer | None = None,
    seed: int | None = 1,
    level: str | None = None,
) -> Choice:
    table = catalog.table() if isinstance(catalog, Seed) else catalog
    balancer = by or Balancer("priority")
    wish = an_ask(ask) if isinstance(ask, str) else ask
    return balancer.explain(balancer.find(table, wish, caller), wish, caller, seed, level)


def in_turn(catalog: Seed | Table, ask: Ask | str = "m", caller: AccessKey = ANYONE, **options: Any) -> list[str]:
    """Answer the upstream names of the offers.

    Raises:
        Refusal: nobody may serve.
    """
    choice = chosen(catalog, ask, caller, **options)
    if choice.refusal is not None:
        raise choice.refusal
    return [offer.source.upstream_name for offer in choice.offers]
