"""Every path of the catalog that writes, with what a request to it needs; found from the routes themselves."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import uuid4

import httpx
from fastapi.routing import APIRoute

from builders import a_model, a_served_model, a_supplier
from modelbus.catalog import app
from modelbus.catalog.api.guards import query_of
from modelbus.catalog.api.history_paths import PATHS

V1 = "/api/v1"
PASSWORD = "correct horse battery staple"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True, slots=True)
class Write:
    """A request that a route takes."""

    method: str
    pattern: str
    path: str
    """With the ids of things made for it, and by force where what it does may leave references stale."""
    thing: str | None
    """Path of the thing that it is about, where it is about one."""
    body: Any = field(default=None, hash=False)

    async def send(self, http: httpx.AsyncClient, **headers: str) -> httpx.Response:
        """Send it."""
        body = {} if self.body is None else {"json": self.body}
        return await http.request(self.method, self.path, headers=headers, **body)


def write_routes(*methods: str) -> list[tuple[str, str]]:
    """Answer the methods and path patterns of everything that writes."""
    return sorted((method, path) for method, path in _routes() if method in methods)


@cache
def _routes() -> dict[tuple[str, str], APIRoute]:
    return {
        (method, route.path): route
        for noun in app.ROUTES
        for route in noun.routes.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


def _takes_force(method: str, pattern: str) -> bool:
    return "force" in query_of(_routes()[method, pattern].dependant)


async def prepare(http: httpx.AsyncClient, method: str, pattern: str) -> Write:
    """Make what the path needs, and answer a request to it that the catalog takes."""
    thing = "/".join(pattern.split("/")[:5])
    noun = pattern.split("/")[3]
    made: dict[str, Any] = {}
    path, about = pattern, None
    if "{" in thing:
        made = await THINGS[noun](http)
        path = _PARAMETER.sub(made[IDS.get(pattern.removeprefix(V1), "id")], pattern, count=1)
        about = made.get("about", f"{V1}/{noun}/{made['id']}")
    for name in _PARAMETER.findall(pattern)[1 if about else 0 :]:
        path = _PARAMETER.sub(await PARTS[name](http, made), path, count=1)
    body = BODIES.get((method, pattern.removeprefix(V1)))
    if body is None and method in {"PUT", "POST"} and pattern.count("/") == (4 if about else 3):
        body = NEW.get(noun)
    told = await body(http, made) if callable(body) else {} if method == "PATCH" else None
    return Write(method, pattern, f"{path}?force=true" if _takes_force(method, pattern) else path, about, told)


def _name() -> str:
    return f"n-{uuid4().hex}"


async def post(http: httpx.AsyncClient, path: str, body: Any) -> dict[str, Any]:
    """Make something."""
    answer = await http.post(f"{V1}/{path}", json=body)
    assert answer.status_code in {200, 201}, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _new_supplier(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name(), "kind": "direct", "base_url": "http://127.0.0.1:9/v1", "is_local": True}


async def _new_credential(http: httpx.AsyncClient, _made: Any) -> Any:
    return {"supplier_id": (await a_supplier(http))["id"], "name": _name(), "secret": "sk-0123456789abcdef"}


async def _new_model(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": f"vendor/{_name()}"}


async def _new_source(http: httpx.AsyncClient, _made: Any) -> Any:
    supplier, model = await a_supplier(http), await a_model(http)
    return {"supplier_id": supplier["id"], "model_id": model["id"], "upstream_name": _name()}


async def _new_chain(http: httpx.AsyncClient, _made: Any) -> Any:
    models = [await a_served_model(http) for _ in range(2)]
    return {"name": _name(), "steps": [{"model_id": model["id"]} for model in models]}


async def _new_split(http: httpx.AsyncClient, _made: Any) -> Any:
    models = [await a_served_model(http) for _ in range(2)]
    arms = [{"name": f"arm-{at}", "model_id": model["id"], "weight": 1} for at, model in enumerate(models)]
    return {"name": _name(), "arms": arms}


async def _new_routing(http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name(), "levels": [{"level": "hard", "model_ids": [(await a_model(http))["id"]]}]}


async def _new_strategy(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name(), "cost_weight": 1}


async def _new_scope(http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name(), "model_ids": [(await a_model(http))["id"]]}


async def _new_consumer(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name(), "kind": "tenant"}


async def _new_access_key(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name()}


async def _new_capability(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name(), "domain": "nlp", "input_types": ["text"], "output_types": ["text"]}


async def _new_label(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name()}


async def _new_price(http: httpx.AsyncClient, _made: Any) -> Any:
    return {
        "model_id": (await a_model(http))["id"],
        "prices": {"input": "1", "output": "2"},
        "valid_from": "2999-01-01T00:00:00Z",
    }


async def _new_user(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name()[:40], "role": "viewer", "password": PASSWORD}


async def _new_token(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": _name(), "role": "viewer"}


NEW: dict[str, Callable[[httpx.AsyncClient, Any], Awaitable[Any]]] = {
    "suppliers": _new_supplier,
    "credentials": _new_credential,
    "models": _new_model,
    "sources": _new_source,
    "fallback-chains": _new_chain,
    "splits": _new_split,
    "complexity-routing": _new_routing,
    "cost-strategies": _new_strategy,
    "scopes": _new_scope,
    "consumers": _new_consumer,
    "access-keys": _new_access_key,
    "capabilities": _new_capability,
    "categories": _new_label,
    "tags": _new_label,
    "prices": _new_price,
    "users": _new_user,
}
"""What makes one thing of each noun; a PUT takes the same."""


def _maker(noun: str) -> Callable[[httpx.AsyncClient], Awaitable[dict[str, Any]]]:
    async def make(http: httpx.AsyncClient) -> dict[str, Any]:
        return await post(http, noun, await NEW[noun](http, {}))

    return make


async def _price(http: httpx.AsyncClient) -> dict[str, Any]:
    """Make a price that is in force, and one to come; what has a version is all that its model is charged."""
    coming = await _new_price(http, {})
    await post(http, "prices", {"model_id": coming["model_id"], "prices": {"input": "3"}})
    prices = await post(http, "prices", coming)
    owner = prices["model_id"]
    return {
        "id": prices["coming"][0]["id"],
        "in_force_id": prices["in_force"]["id"],
        "owner_id": owner,
        "about": f"{V1}/models/{owner}/prices",
    }


THINGS: dict[str, Callable[[httpx.AsyncClient], Awaitable[dict[str, Any]]]] = {
    **{noun: _maker(noun) for noun in NEW},
    "prices": _price,
}
"""What makes the thing that a path of the noun is about."""


IDS = {"/prices/{thing}/rollback": "owner_id", "/prices/{price_id}/end": "in_force_id"}
"""Which of its ids a path takes, where a thing has several."""


async def _step(_http: httpx.AsyncClient, chain: Any) -> str:
    return str(chain["steps"][0]["id"])


async def _parameter(http: httpx.AsyncClient, model: Any) -> str:
    await post(http, f"models/{model['id']}/parameters", {"name": "temperature", "parameter_type": "float"})
    return "temperature"


def _labelling(noun: str) -> Callable[[httpx.AsyncClient, Any], Awaitable[str]]:
    async def label(http: httpx.AsyncClient, model: Any) -> str:
        made = await post(http, noun, await NEW[noun](http, {}))
        answer = await http.put(f"{V1}/models/{model['id']}/{noun}/{made['id']}", json={})
        assert answer.is_success, answer.text
        return str(made["id"])

    return label


PARTS: dict[str, Callable[[httpx.AsyncClient, Any], Awaitable[str]]] = {
    "step_id": _step,
    "name": _parameter,
    "capability_id": _labelling("capabilities"),
    "category_id": _labelling("categories"),
    "tag_id": _labelling("tags"),
}
"""What makes the parts of a thing that paths name further down."""


async def _earlier(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"version": 1}


async def _secret(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"secret": "sk-fedcba9876543210"}


async def _another_step(http: httpx.AsyncClient, _made: Any) -> Any:
    return {"model_id": (await a_model(http))["id"]}


async def _order(_http: httpx.AsyncClient, chain: Any) -> Any:
    return {"step_ids": [step["id"] for step in reversed(chain["steps"])]}


async def _new_parameter(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"name": "top_p", "parameter_type": "float"}


async def _parameters(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"parameters": [{"name": "top_k", "parameter_type": "int"}]}


async def _values(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"parameter_type": "float", "default": 0.5}


async def _release(http: httpx.AsyncClient, model: Any) -> Any:
    answer = await http.patch(f"{V1}/models/{model['id']}", json={"context_window": 1000})
    assert answer.is_success, answer.text
    return {"fields": ["context_window"]}


async def _nothing(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {}


async def _password(_http: httpx.AsyncClient, _made: Any) -> Any:
    return {"password": "another horse battery staple"}


BODIES: dict[tuple[str, str], Callable[[httpx.AsyncClient, Any], Awaitable[Any]]] = {
    **{("POST", f"{path}/rollback"): _earlier for path in PATHS.values()},
    ("POST", "/credentials/{credential_id}/rotate"): _secret,
    ("POST", "/fallback-chains/{chain_id}/steps"): _another_step,
    ("POST", "/fallback-chains/{chain_id}/reorder"): _order,
    ("POST", "/models/{model:path}/parameters"): _new_parameter,
    ("PUT", "/models/{model:path}/parameters"): _parameters,
    ("PUT", "/models/{model:path}/parameters/{name}"): _values,
    ("PUT", "/models/{model:path}/capabilities/{capability_id:uuid}"): _nothing,
    ("PUT", "/users/{user_id}/password"): _password,
    ("POST", "/models/{model:path}/provenance/release"): _release,
    ("POST", "/tags/{tag_id}/preview"): _nothing,
    ("POST", "/auth/tokens"): _new_token,
}
"""What other paths take."""
