"""Labels of a test's models, made over REST."""

from itertools import count
from typing import Any

import httpx

Json = dict[str, Any]

_numbers = count(1)


async def made(http: httpx.AsyncClient, path: str, body: Json) -> Json:
    """Make something."""
    answer = await http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def a_capability(http: httpx.AsyncClient, **fields: Any) -> Json:
    """Make a capability."""
    body = {"name": f"capability-{next(_numbers)}", "domain": "nlp", "input_types": ["text"], "output_types": ["text"]}
    return await made(http, "/api/v1/capabilities", {**body, **fields})


async def a_category(http: httpx.AsyncClient, **fields: Any) -> Json:
    """Make a category."""
    return await made(http, "/api/v1/categories", {"name": f"category-{next(_numbers)}", **fields})


async def a_tag(http: httpx.AsyncClient, **fields: Any) -> Json:
    """Make a tag."""
    return await made(http, "/api/v1/tags", {"name": f"tag-{next(_numbers)}", **fields})


async def put(http: httpx.AsyncClient, path: str, body: Json | None = None) -> Json:
    """Put something in its place."""
    answer = await http.put(path, json=body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def named(http: httpx.AsyncClient, path: str, **params: Any) -> list[str]:
    """List the names of what is at the path."""
    answer = await http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["items"]]
