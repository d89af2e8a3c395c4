from typing import Any

import httpx
import pytest

from builders import a_model, a_source, a_supplier, shown
from catalog.labels import a_capability, a_tag, put

AVAILABLE = "/api/v1/routing/available-models"


async def names(http: httpx.AsyncClient, query: str = "") -> list[str]:
    groups = (await shown(http, f"{AVAILABLE}?{query}"))["items"]
    return [model["name"] for group in groups for model in group["models"]]


async def test_what_can_serve_is_listed_by_supplier_with_price_tags_and_capabilities(http: httpx.AsyncClient) -> None:
    one, two = await a_supplier(http, name="one"), await a_supplier(http, name="two", kind="aggregator")
    model = await a_model(http, name="vendor/shared", context_window=5000)
    away = await a_model(http, name="vendor/away")
    first = await a_source(http, model["id"], one["id"], upstream_name="shared", cost={"input": "1.5"})
    await a_source(http, model["id"], two["id"], upstream_name="vendor/shared")
    gone = await a_source(http, away["id"], two["id"])
    await http.post(f"/api/v1/sources/{gone['id']}/disable")
    vision, tag = await a_capability(http, name="vision"), await a_tag(http, name="recommended")
    await put(http, f"/api/v1/models/{model['id']}/capabilities/{vision['id']}", {})
    await put(http, f"/api/v1/models/{model['id']}/tags/{tag['id']}")

    groups = (await shown(http, AVAILABLE))["items"]

    assert [(group["supplier_name"], group["supplier_kind"]) for group in groups] == [
        ("one", "direct"),
        ("two", "aggregator"),
    ]
    [[served], [again]] = [group["models"] for group in groups]
    assert (served["model_id"], served["source_id"], served["name"]) == (model["id"], first["id"], "vendor/shared")
    assert (served["capabilities"], served["tags"], served["context_window"]) == (["vision"], ["recommended"], 5000)
    assert (served["cost"]["input"], served["cost"]["output"]) == ("1.5", None)
    assert again["upstream_name"] == "vendor/shared"


async def test_the_list_is_filtered(http: httpx.AsyncClient) -> None:
    one, two = await a_supplier(http), await a_supplier(http)
    for name, supplier, fields in (
        ("vendor/chat", one, {}),
        ("vendor/embed", one, {"model_type": "embedding"}),
        ("other/chat", two, {"display_name": "Something"}),
    ):
        fields_of_model: dict[str, Any] = dict(fields)
        model = await a_model(http, name=name, **fields_of_model)
        await a_source(http, model["id"], supplier["id"], upstream_name=name)
    vision, tag = await a_capability(http, name="vision"), await a_tag(http, name="new")
    await put(http, f"/api/v1/models/vendor/chat/capabilities/{vision['id']}", {})
    await put(http, f"/api/v1/models/other/chat/tags/{tag['id']}")

    assert await names(http) == ["vendor/chat", "vendor/embed", "other/chat"]
    assert await names(http, f"supplier_id={two['id']}") == ["other/chat"]
    assert await names(http, "model_type=embedding") == ["vendor/embed"]
    assert await names(http, "search=SOMETHING") == ["other/chat"]
    assert await names(http, "capability=vision") == ["vendor/chat"]
    assert await names(http, "tag=new") == ["other/chat"]
    assert await names(http, "tier=max") == []
    assert await names(http, "is_featured=false&model_type=language") == ["vendor/chat", "other/chat"]
    assert await names(http, "capability=unheard-of") == []


async def test_pages_go_on_within_a_supplier_and_from_one_to_the_next(http: httpx.AsyncClient) -> None:
    suppliers = [await a_supplier(http) for _ in range(2)]
    model = await a_model(http)
    for supplier in suppliers:
        for upstream_name in ("c", "a", "b"):
            await a_source(http, model["id"], supplier["id"], upstream_name=upstream_name)

    found: list[tuple[str, str]] = []
    query: str | None = "limit=2"
    while query is not None:
        page = await shown(http, f"{AVAILABLE}?{query}")
        found += [(group["supplier_id"], each["upstream_name"]) for group in page["items"] for each in group["models"]]
        query = page["next_cursor"] and f"limit=2&cursor={page['next_cursor']}"

    assert found == [(supplier["id"], name) for supplier in suppliers for name in ("a", "b", "c")]


async def test_nothing_is_sent_again_until_something_changes(http: httpx.AsyncClient) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    source = await a_source(http, model["id"], supplier["id"])
    tag = (await http.get(AVAILABLE)).headers["ETag"]

    same = await http.get(AVAILABLE, headers={"If-None-Match": tag})
    await http.post(f"/api/v1/sources/{source['id']}/disable")
    changed = await http.get(AVAILABLE, headers={"If-None-Match": tag})

    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert (changed.status_code, changed.json()["items"]) == (200, [])
    assert changed.headers["ETag"] != tag


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "cursor=nonsense", "supplier_id=x", "model_type=x"])
async def test_a_query_that_can_not_be_read_is_refused(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.get(f"{AVAILABLE}?{query}")).status_code == 422
