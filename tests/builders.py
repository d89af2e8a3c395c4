"""Builders: what a test needs, with defaults for all that does not matter; things are made over the catalog's REST."""

from itertools import count
from typing import Any
from uuid import UUID

import httpx

from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import SyncRequested

_numbers = count(1)


def an_event(cause: str = "administrator") -> SyncRequested:
    """Make an event that refers to nothing."""
    return SyncRequested(run_id=new_id(), supplier_id=UUID(int=1), cause=cause)


async def a_supplier(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Make a supplier that needs no credential."""
    body = {
        "name": f"supplier-{next(_numbers)}",
        "kind": "direct",
        "base_url": "http://127.0.0.1:9/v1",
        "is_local": True,
        "requires_credential": False,
        **fields,
    }
    return await _made(http, "/api/v1/suppliers", body)


async def a_credential(http: httpx.AsyncClient, supplier_id: str, **fields: Any) -> dict[str, Any]:
    """Make a credential."""
    body = {"supplier_id": supplier_id, "name": f"key-{next(_numbers)}", "secret": "sk-test-0123456789abcdef", **fields}
    return await _made(http, "/api/v1/credentials", body)


async def a_model(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Make a model without sources."""
    return await _made(http, "/api/v1/models", {"name": f"vendor/model-{next(_numbers)}", **fields})


async def a_source(http: httpx.AsyncClient, model_id: str, supplier_id: str, **fields: Any) -> dict[str, Any]:
    """Make a source by hand."""
    body = {"model_id": model_id, "supplier_id": supplier_id, "upstream_name": f"upstream-{next(_numbers)}", **fields}
    return await _made(http, "/api/v1/sources", body)


async def a_served_model(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Make a model that one source of a supplier of its own serves."""
    model, supplier = await a_model(http, **fields), await a_supplier(http)
    await a_source(http, model["id"], supplier["id"])
    return await shown(http, f"/api/v1/models/{model['id']}")


async def shown(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Show what is at the path."""
    answer = await http.get(path)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _made(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await http.post(path, json=body)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    made: dict[str, Any] = answer.json()
    return made
