"""The selector: what an access key may use now, without a word of who supplies it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalog.labels import a_capability, a_tag, made, put
from catalog.people import a_session, shows
from modelbus.catalog.actions.prices import set_price
from modelbus.catalog.actions.versions import write
from modelbus.catalog.api.amounts import CostAmounts
from modelbus.catalog.api.selector import SelectionView
from modelbus.catalog.domain.permissions import HeldAccessKey, HeldConsumer, permissions_of
from modelbus.catalog.store.prices import CHARGES
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from running import eventually
from servers import FreshDatabase

PATH = "/api/v1/selector"
Json = dict[str, Any]


@pytest.fixture
async def store(database: FreshDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
    yield opened
    await opened.close()


@pytest.fixture
async def visitor(catalog_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """An application: it has no token of the catalog's."""
    async with httpx.AsyncClient(base_url=catalog_url, timeout=20) as client:
        yield client


async def a_key(http: httpx.AsyncClient, **fields: Any) -> Json:
    return await made(http, "/api/v1/access-keys", {"name": f"key-{uuid4()}", **fields})


async def a_consumer(http: httpx.AsyncClient, **fields: Any) -> Json:
    return await made(http, "/api/v1/consumers", {"name": f"consumer-{uuid4()}", "kind": "user", **fields})


def bearing(key: Json) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


async def seen_by(visitor: httpx.AsyncClient, key: Json, **params: str) -> Json:
    answer = await visitor.get(PATH, headers=bearing(key), params=params)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def names(selection: Json) -> list[str]:
    return [each["name"] for each in selection["models"]]


async def test_a_key_sees_its_models_by_tag_and_type_with_what_they_can_and_cost(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient, store: Database
) -> None:
    chat = await a_served_model(http, name="v/chat", display_name="Chat", context_window=4096)
    vectors = await a_served_model(http, name="v/vectors", display_name="Vectors", model_type="embedding")
    vision = await a_capability(http, name="vision", display_name="Vision")
    first, second = await a_tag(http, name="z", position=0, color="#00ff00"), await a_tag(http, name="a", position=1)
    await put(http, f"/api/v1/models/v/chat/capabilities/{vision['id']}", {"config": {"max_images": 2}})
    for tag in (second, first):
        await put(http, f"/api/v1/models/v/chat/tags/{tag['id']}")
    async with store.transaction() as session:
        amounts = CostAmounts.model_validate({"input": "0.25", "output": "1"}).amounts()
        await set_price(session, CHARGES, UUID(chat["id"]), amounts, None, None)
    key = await a_key(http)

    selection = await seen_by(visitor, key)

    SelectionView.model_validate(selection)
    assert names(selection) == ["v/chat", "v/vectors"]
    model = selection["models"][0]
    assert (model["display_name"], model["context_window"], model["tags"]) == ("Chat", 4096, ["z", "a"])
    assert model["capabilities"] == [{"name": "vision", "display_name": "Vision", "config": {"max_images": 2}}]
    assert (float(model["price"]["input"]), float(model["price"]["output"])) == (0.25, 1)
    assert selection["models"][1]["price"] is None
    assert [(each["name"], each["model_ids"]) for each in selection["by_tag"]] == [
        ("z", [chat["id"]]),
        ("a", [chat["id"]]),
    ]
    assert [(each["model_type"], each["model_ids"]) for each in selection["by_type"]] == [
        ("embedding", [vectors["id"]]),
        ("language", [chat["id"]]),
    ]


async def test_nothing_tells_who_supplies_a_model(http: httpx.AsyncClient, visitor: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http, name="secret-supplier", base_url="http://127.0.0.1:9/secret-path")
    model = await a_model(http, name="v/m")
    source = await a_source(http, model["id"], supplier["id"], upstream_name="secret-upstream")
    await made(
        http,
        "/api/v1/fallback-chains",
        {"name": "safe", "steps": [{"model_id": model["id"], "source_id": source["id"]}]},
    )

    text = (await visitor.get(PATH, headers=bearing(await a_key(http)))).text

    assert '"v/m"' in text
    assert '"safe"' in text
    for secret in ("secret", supplier["id"], source["id"], "supplier", "source", "upstream", "provenance", "cost"):
        assert secret not in text


async def test_only_what_is_available_is_shown(http: httpx.AsyncClient, visitor: httpx.AsyncClient) -> None:
    await a_model(http, name="v/unserved")
    served, off = await a_served_model(http, name="v/served"), await a_served_model(http, name="v/off")
    key = await a_key(http)
    await http.post(f"/api/v1/models/{off['id']}/disable", params={"force": True})

    assert names(await seen_by(visitor, key)) == [served["name"]]
    await http.post(f"/api/v1/models/{off['id']}/enable")
    assert len(names(await seen_by(visitor, key))) == 2


async def test_key_and_consumer_and_tier_must_all_permit_a_model(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient
) -> None:
    free, pro, top, other = [
        await a_served_model(http, name=f"v/{number}-{tier}", tier=tier)
        for number, tier in enumerate(("free", "pro", "max", "free"))
    ]
    ids = {name: model["id"] for name, model in (("free", free), ("pro", pro), ("max", top))}
    consumer = await a_consumer(http, tier="pro", model_ids=list(ids.values()))
    whole = await a_key(http, consumer_id=consumer["id"])
    narrow = await a_key(http, consumer_id=consumer["id"], model_ids=[pro["id"], top["id"], other["id"]])

    assert names(await seen_by(visitor, whole)) == [free["name"], pro["name"]]
    assert names(await seen_by(visitor, narrow)) == [pro["name"]]
    await http.patch(f"/api/v1/consumers/{consumer['id']}", json={"tier": "max", "model_ids": None})
    assert names(await seen_by(visitor, narrow)) == [pro["name"], top["name"], other["name"]]


async def test_a_scope_narrows_to_its_models_for_who_may_name_it(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient
) -> None:
    one, two = await a_served_model(http, name="v/one"), await a_served_model(http, name="v/two")
    mine = await made(http, "/api/v1/scopes", {"name": "mine", "model_ids": [two["id"]]})
    await made(http, "/api/v1/scopes", {"name": "theirs", "model_ids": [one["id"]]})
    key = await a_key(http, scope_ids=[mine["id"]])

    selection = await seen_by(visitor, key)
    narrowed = await seen_by(visitor, key, scope="mine")
    refused = await visitor.get(PATH, headers=bearing(key), params={"scope": "theirs"})

    assert (names(selection), names(narrowed)) == (["v/one", "v/two"], ["v/two"])
    assert [(each["name"], each["model_ids"]) for each in selection["scopes"]] == [("mine", [two["id"]])]
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_not_permitted")


async def test_chains_are_shown_while_a_permitted_step_could_serve(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient
) -> None:
    served, supplier = await a_served_model(http), await a_supplier(http)
    source = await a_source(http, served["id"], supplier["id"])
    await made(http, "/api/v1/fallback-chains", {"name": "any", "steps": [{"model_id": served["id"]}]})
    exact = {"model_id": served["id"], "source_id": source["id"]}
    await made(http, "/api/v1/fallback-chains", {"name": "exact", "steps": [exact]})
    outsider = await a_key(http, model_ids=[(await a_served_model(http))["id"]])
    key = await a_key(http)

    assert [each["name"] for each in (await seen_by(visitor, key))["chains"]] == ["any", "exact"]
    assert (await seen_by(visitor, outsider))["chains"] == []
    await http.post(f"/api/v1/sources/{source['id']}/disable", params={"force": True})
    assert [each["name"] for each in (await seen_by(visitor, key))["chains"]] == ["any"]


async def test_a_caller_that_has_it_is_answered_304_until_something_that_it_sees_changes(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient
) -> None:
    model, hidden = await a_served_model(http), await a_served_model(http)
    key = await a_key(http, model_ids=[model["id"]])
    first = await visitor.get(PATH, headers=bearing(key))
    held = bearing(key) | {"If-None-Match": f'"other", {first.headers["etag"]}'}

    again = await visitor.get(PATH, headers=held)
    await http.patch(f"/api/v1/models/{hidden['id']}", json={"display_name": "Other"})
    unseen = await visitor.get(PATH, headers=held)
    await http.patch(f"/api/v1/models/{model['id']}", json={"display_name": "Renamed"})
    later = await visitor.get(PATH, headers=held)

    assert (again.status_code, again.content, unseen.status_code) == (304, b"", 304)
    assert (later.status_code, later.json()["models"][0]["display_name"]) == (200, "Renamed")
    assert later.headers["etag"] != first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    assert "authorization" in first.headers["vary"].lower()


async def test_it_is_compressed_for_who_takes_it_so(http: httpx.AsyncClient, visitor: httpx.AsyncClient) -> None:
    await a_served_model(http)
    key = await a_key(http)

    plain = await visitor.get(PATH, headers=bearing(key) | {"Accept-Encoding": "identity"})
    zipped = await visitor.get(PATH, headers=bearing(key) | {"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert (zipped.headers["content-encoding"], zipped.json()) == ("gzip", plain.json())
    assert zipped.headers["etag"] == plain.headers["etag"]


@pytest.mark.parametrize("how", ["nothing", "nonsense", "disabled", "deleted", "consumer off", "rotated"])
async def test_a_key_that_opens_nothing_is_refused(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient, how: str
) -> None:
    consumer = await a_consumer(http)
    key = await a_key(http, consumer_id=consumer["id"])
    path = f"/api/v1/access-keys/{key['id']}"
    headers = {"nothing": {}, "nonsense": bearing({"key": "mb-nonsense"})}.get(how, bearing(key))
    match how:
        case "disabled":
            await http.post(f"{path}/disable")
        case "deleted":
            await http.delete(path)
        case "consumer off":
            await http.post(f"/api/v1/consumers/{consumer['id']}/disable")
        case "rotated":
            await http.post(f"{path}/rotate", json={"grace_s": 0})

    answer = await visitor.get(PATH, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_that_has_expired_opens_no_more(http: httpx.AsyncClient, visitor: httpx.AsyncClient) -> None:
    key = await a_key(http, expires_at=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())

    async def is_refused() -> bool:
        return (await visitor.get(PATH, headers=bearing(key))).status_code == 401

    assert not await is_refused()
    await eventually(is_refused)


async def test_a_rotated_key_opens_by_both_until_its_grace_is_over(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient
) -> None:
    key = await a_key(http)

    rotated = (await http.post(f"/api/v1/access-keys/{key['id']}/rotate", json={"grace_s": 3600})).json()

    assert rotated["key"] != key["key"]
    for each in (key, rotated):
        assert (await visitor.get(PATH, headers=bearing(each))).status_code == 200


async def test_an_access_key_opens_the_selector_and_nothing_else(
    http: httpx.AsyncClient, visitor: httpx.AsyncClient
) -> None:
    key, other = await a_key(http), await a_key(http)

    by_header = await visitor.get(PATH, headers={"X-Access-Key": key["key"]})
    of_another = await visitor.get(PATH, headers=bearing(key), params={"access_key_id": other["id"]})
    elsewhere = [
        (await visitor.get(path, headers=bearing(key) | {"X-Access-Key": key["key"]})).status_code
        for path in ("/api/v1/models", "/api/v1/access-keys", "/api/v1/snapshot", "/api/v1/tags")
    ]

    assert (by_header.status_code, of_another.status_code, elsewhere) == (200, 401, [401] * 4)
    assert (await visitor.post(PATH, headers=bearing(key))).status_code == 401


async def test_an_administrator_asks_on_behalf_of_a_key(http: httpx.AsyncClient) -> None:
    model, _other = await a_served_model(http), await a_served_model(http)
    key = await a_key(http, model_ids=[model["id"]])
    viewer = shows(await a_session(http, role="viewer"))

    by_id = await http.get(PATH, params={"access_key_id": key["id"]}, headers=viewer)
    by_key = await http.get(PATH, headers=viewer | {"X-Access-Key": key["key"]})

    assert names(by_id.json()) == names(by_key.json()) == [model["name"]]
    nobody = await http.get(PATH)
    assert (nobody.status_code, nobody.json()["errors"][0]["field"]) == (422, "query.access_key_id")
    assert (await http.get(PATH, params={"access_key_id": str(uuid4())})).status_code == 404
    await http.post(f"/api/v1/access-keys/{key['id']}/disable")
    assert (await shown(http, f"{PATH}?access_key_id={key['id']}"))["models"] == []


@pytest.mark.parametrize(
    ("tier", "expected"), [("free", {"free"}), ("max", {"free", "pro", "max"}), ("unheard of", set())]
)
def test_a_tier_holds_those_before_it(tier: str, expected: set[str]) -> None:
    key = HeldAccessKey(UUID(int=1), "hash", True, None, None, UUID(int=2))  # noqa: FBT003 - as records have it
    consumer = HeldConsumer(UUID(int=2), tier, True, None, None)  # noqa: FBT003 - the same

    assert permissions_of(key, consumer).tiers == expected
