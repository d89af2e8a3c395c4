"""Prices for tests, set over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from builders import a_model, a_source, a_supplier

PRICES = "/api/v1/prices"


def later(**ahead: float) -> str:
    """Answer a moment to come."""
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat().replace("+00:00", "Z")


async def a_price(http: httpx.AsyncClient, prices: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Set a price of a model or source, and answer how it then stands."""
    answer = await http.post(PRICES, json={"prices": prices or {"input": "2.5", "output": "10"}, **fields})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    standing: dict[str, Any] = answer.json()
    return standing


async def a_costed_model(http: httpx.AsyncClient, *costs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Make a model with one source for each of the costs, the first preferred."""
    model = await a_model(http, **fields)
    for priority, cost in enumerate(costs):
        supplier = await a_supplier(http)
        await a_source(http, model["id"], supplier["id"], cost=cost, priority=priority)
    return model


def known(amounts: dict[str, Any] | None) -> dict[str, Any] | None:
    """Answer the amounts that are known."""
    if amounts is None:
        return None
    return {unit: amount for unit, amount in amounts.items() if amount is not None and unit != "is_dynamic"}
