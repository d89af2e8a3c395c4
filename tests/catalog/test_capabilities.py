"""Capabilities over REST, which models have them, and what a catalog begins with."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from builders import a_model, shown
from catalog.labels import a_capability, a_tag, made, named, put
from catalog.refusals import fields_of
from catalogs import Told, settings_for
from modelbus.catalog.app import create_app
from modelbus.contracts.catalog import CapabilityChanged, ModelChanged, TagChanged
from running import ADMIN_TOKEN, eventually, serving
from servers import FreshDatabase

PATH = "/api/v1/capabilities"
PAIRS = f"{PATH}/associations"


async def test_a_capability_is_made_changed_and_deleted_and_each_is_told(http: httpx.AsyncClient, told: Told) -> None:
    body = {
        "name": "vision",
        "display_name": "Vision",
        "description": "Understands images.",
        "domain": "multimodal",
        "input_types": ["text", "image"],
        "output_types": ["text"],
    }

    new = await made(http, PATH, body)
    answer = await http.patch(f"{PATH}/{new['id']}", json={"display_name": "Sight"}, headers={"If-Match": '"1"'})
    gone = await http.delete(f"{PATH}/{new['id']}")

    assert {name: new[name] for name in body} == body
    assert (answer.json()["display_name"], answer.headers["etag"]) == ("Sight", '"2"')
    assert (gone.status_code, (await http.get(f"{PATH}/{new['id']}")).status_code) == (204, 404)
    events = await told(CapabilityChanged)
    assert [event.record and event.record.display_name for event in events] == ["Vision", "Sight", None]
    versions = await shown(http, f"{PATH}/{new['id']}/versions")
    assert len(versions["items"]) == 3


async def test_capabilities_are_found_by_what_they_are(http: httpx.AsyncClient) -> None:
    await a_capability(http, name="tools")
    await a_capability(http, name="ears", domain="audio", input_types=["audio"])
    await a_capability(http, name="eyes", domain="cv", input_types=["image", "text"], description="Sees 100%.")

    assert await named(http, PATH, sort="-name") == ["tools", "eyes", "ears"]
    assert await named(http, PATH, domain="audio") == ["ears"]
    assert await named(http, PATH, input_type="image") == ["eyes"]
    assert await named(http, PATH, output_type="text", search="0%") == ["eyes"]
    assert await named(http, PATH, name="tools") == ["tools"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "With Blanks"),
        ("name", ""),
        ("name", "x" * 65),
        ("domain", "smell"),
        ("input_types", []),
        ("input_types", ["text", "text"]),
        ("output_types", ["smoke"]),
        ("display_name", "nul\x00"),
        ("unknown", 1),
    ],
)
async def test_what_a_capability_can_not_be_is_refused_by_field(
    http: httpx.AsyncClient, field: str, value: Any
) -> None:
    body = {"name": "c", "domain": "nlp", "input_types": ["text"], "output_types": ["text"], field: value}

    answer = await http.post(PATH, json=body)

    assert answer.status_code == 422
    assert fields_of(answer)[0].startswith(field)


async def test_two_capabilities_do_not_share_a_name(http: httpx.AsyncClient) -> None:
    await a_capability(http, name="tools")
    other = await a_capability(http, name="others")

    answer = await http.patch(f"{PATH}/{other['id']}", json={"name": "tools"})

    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")


async def test_a_model_has_a_capability_with_settings_of_its_own(http: httpx.AsyncClient, told: Told) -> None:
    model, capability = await a_model(http, name="vendor/eyes"), await a_capability(http)
    path = f"/api/v1/models/vendor/eyes/capabilities/{capability['id']}"

    first = await put(http, path, {"config": {"max_images": 3}})
    again = await put(http, path, {"config": {"max_images": 3}})
    other = await http.put(path, json={"config": {"max_images": 5}}, headers={"If-Match": '"2"'})
    stale = await http.put(path, json={}, headers={"If-Match": '"2"'})

    assert (first["version"], again["version"]) == (2, 2)
    assert first["items"][0]["config"] == {"max_images": 3}
    assert (other.json()["items"][0]["config"], other.headers["etag"]) == ({"max_images": 5}, '"3"')
    assert stale.status_code == 412
    assert (await shown(http, f"/api/v1/models/{model['id']}/capabilities"))["items"][0]["id"] == capability["id"]
    [_made, _first, last] = await told(ModelChanged)
    assert [(str(one.capability_id), one.config) for one in last.record.capabilities] == [
        (capability["id"], {"max_images": 5})
    ]
    assert (await http.delete(path)).status_code == 204
    assert (await http.delete(path)).status_code == 404
    assert (await shown(http, f"/api/v1/models/{model['id']}/capabilities"))["items"] == []


async def test_associations_are_listed_page_by_page_and_made_and_ended(http: httpx.AsyncClient) -> None:
    models = [await a_model(http) for _ in range(3)]
    capabilities = [await a_capability(http) for _ in range(2)]
    wanted = [(model["id"], capability["id"]) for model in models for capability in capabilities]
    for model_id, capability_id in wanted:
        await made(http, PAIRS, {"model_id": model_id, "capability_id": capability_id, "config": {"n": 1}})

    listed, cursor = [], None
    while True:
        page = (await http.get(PAIRS, params={"limit": 4, **({"cursor": cursor} if cursor else {})})).json()
        listed += [(each["model_id"], each["capability_id"]) for each in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert listed == wanted
    of_one = (await http.get(PAIRS, params={"capability_id": capabilities[0]["id"]})).json()["items"]
    assert [each["model_name"] for each in of_one] == [model["name"] for model in models]
    pair = {"model_id": models[0]["id"], "capability_id": capabilities[0]["id"]}
    assert (await http.delete(PAIRS, params=pair)).status_code == 204
    assert len((await http.get(PAIRS, params={"model_id": models[0]["id"]})).json()["items"]) == 1


@pytest.mark.parametrize(
    "config", ['{"x": 1e999}', r'{"x": "\u0000"}', f'{{"x": "{"y" * 10_001}"}}', "[1]", r'{"x": "\ud800"}']
)
async def test_settings_that_can_not_be_kept_are_refused(http: httpx.AsyncClient, config: str) -> None:
    model, capability = await a_model(http), await a_capability(http)

    path = f"/api/v1/models/{model['id']}/capabilities/{capability['id']}"
    body = f'{{"config": {config}}}'
    answer = await http.put(path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert fields_of(answer)[0].startswith("config")


async def test_what_is_not_there_is_not_associated(http: httpx.AsyncClient) -> None:
    model, capability = await a_model(http), await a_capability(http)

    no_capability = await http.post(PAIRS, json={"model_id": model["id"], "capability_id": str(uuid4())})
    no_model = await http.post(PAIRS, json={"model_id": str(uuid4()), "capability_id": capability["id"]})

    assert (no_capability.status_code, fields_of(no_capability)) == (422, ["capability_id"])
    assert no_model.status_code == 404


async def test_a_capability_in_use_is_deleted_by_force_alone_and_taken_off_everything(
    http: httpx.AsyncClient, told: Told
) -> None:
    capability, kept = await a_capability(http, name="vision"), await a_capability(http)
    models = [await a_model(http) for _ in range(2)]
    for model in models:
        for each in (capability, kept):
            await put(http, f"/api/v1/models/{model['id']}/capabilities/{each['id']}", {})
    tag = await a_tag(http, rule={"kind": "has_capability", "capability_id": capability["id"]})
    path = f"{PATH}/{capability['id']}"

    refused = await http.delete(path)
    forced = await http.delete(path, params={"force": True})

    assert (refused.status_code, refused.json()["code"]) == (409, "label_in_use")
    assert [(each["kind"], each["id"]) for each in refused.json()["findings"]] == [
        *(("model", model["id"]) for model in models),
        ("tag", tag["id"]),
    ]
    assert forced.status_code == 204
    for model in models:
        left = await shown(http, f"/api/v1/models/{model['id']}/capabilities")
        assert ([each["id"] for each in left["items"]], left["version"]) == ([kept["id"]], 4)
        assert (await shown(http, f"/api/v1/models/{model['id']}/tags"))["items"] == []
    assert (await shown(http, f"/api/v1/tags/{tag['id']}"))["rule"] is None
    last = {event.id: event.record for event in await told(ModelChanged)}
    assert [len(record.capabilities) for record in last.values()] == [1, 1]
    assert [record.tag_ids for record in last.values()] == [[], []]


async def test_a_catalog_begins_with_labels_that_stay_as_administrators_leave_them(
    database: FreshDatabase, told: Told
) -> None:
    settings = settings_for(database, "nats://127.0.0.1:9", default_labels=True)
    token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with serving(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=token, timeout=20) as http:
        await eventually(lambda: named(http, "/api/v1/tags"))
        names = await named(http, PATH)
        tags = {tag["name"]: tag for tag in (await http.get("/api/v1/tags")).json()["items"]}
        model = await a_model(http, context_window=1_000_000)
        given = await named(http, f"/api/v1/models/{model['id']}/tags")
        renamed = (await http.get(PATH, params={"name": "tools"})).json()["items"][0]
        await http.patch(f"{PATH}/{renamed['id']}", json={"name": "functions"})
        await http.delete(f"/api/v1/tags/{tags['fast']['id']}")

    async with serving(create_app(settings)) as url, httpx.AsyncClient(base_url=url, headers=token, timeout=20) as http:
        # The first transaction of a start lays what has never been there; the second shows that it is over.
        first = await told(CapabilityChanged)
        await eventually(lambda: _is_ready(http))
        later = await named(http, PATH)
        tags_later = await named(http, "/api/v1/tags")

    assert {"vision", "tools", "structured_output", "reasoning", "embeddings"} <= {*names}
    assert {"recommended", "popular", "new", "vision", "fast", "powerful"} <= tags.keys()
    assert given == ["new", "long_context"]
    assert sorted(later) == sorted({*names} - {"tools"} | {"functions"})
    assert tags_later == [name for name in tags if name != "fast"]
    assert len(await told(CapabilityChanged)) == len(first) == len(names) + 1
    assert len(await told(TagChanged)) == len(tags) + 1


async def _is_ready(http: httpx.AsyncClient) -> bool:
    return "database" not in (await http.get("/health/ready")).text
