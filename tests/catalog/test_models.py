"""What can be said of a model, who said it, when it retires, who follows it, and which is the default of its type."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.actions.versions import write
from modelbus.catalog.jobs import let_time_pass
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import ModelAvailable, ModelChanged, ModelUnavailable
from modelbus.contracts.sync import ListedModel, Listing
from servers import FreshDatabase

EVERYTHING = {
    "name": "vendor/whole",
    "aliases": ["whole"],
    "display_name": "Whole",
    "custom_name": "Ours",
    "description": "All of it.",
    "model_type": "multimodal",
    "sub_type": "reasoning",
    "context_window": 128_000,
    "max_output_tokens": 4096,
    "knowledge_cutoff": "2026-03-31",
    "lifecycle": "deprecated",
    "deprecated_at": "2026-06-01T00:00:00Z",
    "retires_at": "2999-06-01T12:00:00Z",
    "tier": "pro",
    "is_featured": True,
    "is_active": True,
    "parameters": [
        {"name": "temperature", "parameter_type": "float", "default": 0.5, "minimum": 0, "maximum": 2, "choices": None}
    ],
}


@pytest.fixture
async def opened(database: FreshDatabase) -> Any:
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
    yield opened
    await opened.close()


async def listed(opened: Database, supplier: dict[str, Any], revision: int, **fields: Any) -> None:
    models = [ListedModel(upstream_name="one", **fields)]
    listing = Listing(run_id=new_id(), supplier_id=supplier["id"], digest="d", models=models, left_out=[])
    async with opened.transaction() as session:
        await apply_listing(session, listing, revision)


def soon(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat()


async def come_due(database: FreshDatabase, model: dict[str, Any]) -> None:
    """Let the day of retirement have come, as if time had passed."""
    connection = await asyncpg.connect(database.superuser())
    await connection.execute("UPDATE catalog.models SET retires_at = now() - interval '1 s' WHERE id = $1", model["id"])
    await connection.close()


async def test_every_field_can_be_given_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    successor = await a_model(http)
    body = {**EVERYTHING, "replacement_model_id": successor["id"]}

    made = await a_model(http, **body)

    assert {name: made[name] for name in body} == body
    record = (await told(ModelChanged))[-1].record.model_dump(mode="json")
    assert {name: record[name] for name in body} == body


async def test_put_sets_every_field_and_patch_only_those_that_are_given(http: httpx.AsyncClient) -> None:
    made = await a_model(http, **EVERYTHING)

    patched = (await http.patch(f"/api/v1/models/{made['id']}", json={"custom_name": None, "tier": "max"})).json()
    replaced = (await http.put(f"/api/v1/models/{made['id']}", json={"name": "vendor/bare"})).json()

    changing = {"version": 2, "updated_at": patched["updated_at"]}
    assert patched == {**made, "custom_name": None, "tier": "max", **changing}
    bare = await a_model(http, name="vendor/other-bare")
    own = {"id", "name", "display_name", "since", "created_at", "updated_at", "version"}
    assert {key: replaced[key] for key in replaced.keys() - own} == {key: bare[key] for key in bare.keys() - own}
    assert (replaced["display_name"], replaced["version"]) == ("vendor/bare", 3)


async def test_what_put_leaves_out_is_for_listings_to_tell(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    await listed(opened, supplier, 1, context_window=1000, display_name="One")
    body = {"name": "one", "display_name": "Mine", "max_output_tokens": 5}
    await http.put("/api/v1/models/one", json=body)

    replaced = (await http.put("/api/v1/models/one", json={"name": "one", "max_output_tokens": 5})).json()
    await listed(opened, supplier, 2, context_window=2000, display_name="Uno", max_output_tokens=9)

    # The listing's own value stays; the administrator's goes.
    assert (replaced["context_window"], replaced["display_name"]) == (1000, "one")
    assert replaced["provenance"] == {
        "context_window": supplier["id"],
        "max_output_tokens": "administrator",
    }
    found = await shown(http, "/api/v1/models/one")
    assert (found["context_window"], found["display_name"], found["max_output_tokens"]) == (2000, "Uno", 5)


async def test_a_model_made_by_hand_leaves_to_listings_what_nobody_told(
    http: httpx.AsyncClient, opened: Database
) -> None:
    made = await a_model(http, name="one", context_window=7)
    assert made["provenance"] == {"context_window": "administrator"}

    await listed(opened, await a_supplier(http), 1, context_window=1000, display_name="One", model_type="embedding")

    found = await shown(http, "/api/v1/models/one")
    assert (found["context_window"], found["display_name"], found["model_type"]) == (7, "One", "embedding")


async def test_of_two_changes_to_the_same_version_one_is_refused(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    path, seen = f"/api/v1/models/{model['id']}", {"If-Match": '"1"'}

    answers = await asyncio.gather(
        *(http.patch(path, json={"custom_name": name}, headers=seen) for name in ("one", "other"))
    )

    assert sorted(answer.status_code for answer in answers) == [200, 412]
    [winner] = [answer for answer in answers if answer.status_code == 200]
    found = await http.get(path)
    assert (found.json()["custom_name"], found.json()["version"]) == (winner.json()["custom_name"], 2)
    assert found.headers["etag"] == winner.headers["etag"] == '"2"'


async def test_a_retired_model_is_not_available_until_it_is_active_again(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    path = f"/api/v1/models/{model['id']}"

    retired = (await http.patch(path, json={"lifecycle": "retired"})).json()
    back = (await http.patch(path, json={"lifecycle": "deprecated"})).json()

    assert (retired["is_available"], retired["reason"]) == (False, "retired")
    assert (back["is_available"], back["reason"]) == (True, None)
    assert [event.reason for event in await told(ModelUnavailable)] == ["retired"]
    assert len(await told(ModelAvailable)) == 2


async def test_a_model_whose_day_has_passed_is_retired_at_once(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)

    changed = (await http.patch(f"/api/v1/models/{model['id']}", json={"retires_at": soon(seconds=-1)})).json()

    assert (changed["is_available"], changed["reason"], changed["lifecycle"]) == (False, "retired", "active")


async def test_the_clock_retires_a_model_and_nothing_takes_its_place(
    http: httpx.AsyncClient, opened: Database, database: FreshDatabase, told: Told
) -> None:
    successor = await a_served_model(http)
    due = await a_served_model(http, retires_at=soon(days=1), replacement_model_id=successor["id"])
    later = await a_served_model(http, retires_at=soon(days=1))
    await come_due(database, due)

    await let_time_pass(opened)
    await let_time_pass(opened)

    path = f"/api/v1/models/{due['id']}"
    found = await shown(http, path)
    assert (found["is_available"], found["reason"], found["version"]) == (False, "retired", due["version"])
    assert (await shown(http, f"/api/v1/models/{later['id']}"))["is_available"]
    [gone] = await told(ModelUnavailable)
    assert (str(gone.model_id), gone.reason, len(gone.previous_source_ids)) == (due["id"], "retired", 1)
    brought_back = (await http.patch(path, json={"retires_at": soon(days=2)})).json()
    assert brought_back["is_available"]


async def test_the_clock_finds_who_is_due_by_an_index(database: FreshDatabase) -> None:
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(
        """
        INSERT INTO catalog.models (id, name, aliases, display_name, model_type, is_active, is_available, since,
            provenance, created_at, updated_at, retires_at)
        SELECT gen_random_uuid(), n::text, '{}', n::text, 'language', true, true, now(), '{}', now(), now(),
            CASE WHEN n % 100 = 0 THEN now() + interval '1 day' END
        FROM generate_series(1, 5000) AS n;
        ANALYZE catalog.models
        """
    )
    query = """
        EXPLAIN SELECT id FROM catalog.models WHERE deleted_at IS NULL AND is_active AND retires_at IS NOT NULL
        AND reason IS DISTINCT FROM 'retired' AND retires_at <= now() ORDER BY retires_at LIMIT 500
        """
    plan = "\n".join(row[0] for row in await connection.fetch(query))
    await connection.close()

    assert "ix_models_retires_at" in plan
    assert "Seq Scan" not in plan


async def test_retiring_what_something_refers_to_is_refused_like_disabling_it(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    path = f"/api/v1/models/{model['id']}"
    await http.post("/api/v1/fallback-chains", json={"name": "smart", "steps": [{"model_id": model["id"]}]})

    refused = await http.patch(path, json={"lifecycle": "retired"})
    forced = await http.patch(path, json={"lifecycle": "retired"}, params={"force": True})

    assert (refused.status_code, refused.json()["code"]) == (409, "still_referenced")
    assert [finding["holder_name"] for finding in refused.json()["findings"]] == ["smart"]
    assert (forced.status_code, forced.json()["reason"]) == (200, "retired")


async def test_no_successor_leads_back(http: httpx.AsyncClient) -> None:
    one, two, three = [await a_model(http) for _ in range(3)]
    for model, successor in ((one, two), (two, three)):
        path = f"/api/v1/models/{model['id']}"
        assert (await http.patch(path, json={"replacement_model_id": successor["id"]})).status_code == 200

    for successor in (one, three):
        body = {"replacement_model_id": successor["id"]}
        answer = await http.patch(f"/api/v1/models/{three['id']}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "wrong_successor")
        assert fields_of(answer) == ["replacement_model_id"]


async def test_two_halves_of_a_ring_at_once_do_not_close_it(http: httpx.AsyncClient) -> None:
    """Neither locks a model of the other's."""

    async def follow(one: dict[str, Any], other: dict[str, Any]) -> httpx.Response:
        return await http.patch(f"/api/v1/models/{one['id']}", json={"replacement_model_id": other["id"]})

    for _ in range(5):
        one, two, three, four = [await a_model(http) for _ in range(4)]
        await follow(two, three)
        await follow(four, one)
        answers = await asyncio.gather(follow(one, two), follow(three, four))
        assert sorted(answer.status_code for answer in answers) == [200, 422]


async def test_the_default_of_a_type_is_handed_over_and_both_are_told(http: httpx.AsyncClient, told: Told) -> None:
    former, model, other = [await a_model(http, model_type=kind) for kind in ("image", "image", "audio")]
    for each in (former, other):
        assert (await http.post(f"/api/v1/models/{each['name']}/set-default")).status_code == 200
    before = len(await told(ModelChanged))

    answer = await http.post("/api/v1/models/set-default", json={"model_id": model["id"]})

    assert (answer.json()["is_default"], answer.headers["etag"]) == (True, '"2"')
    changes = (await told(ModelChanged))[before:]
    assert [(str(each.record.id), each.record.is_default) for each in changes] == [
        (former["id"], False),
        (model["id"], True),
    ]
    assert (await shown(http, f"/api/v1/models/{former['id']}"))["version"] == 3
    assert (await shown(http, f"/api/v1/models/{other['id']}"))["is_default"]


async def test_setting_the_default_again_changes_nothing(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    await http.post(f"/api/v1/models/{model['id']}/set-default")

    again = await http.post(f"/api/v1/models/{model['id']}/set-default")

    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert "x-modelbus-revision" not in again.headers


async def test_however_many_set_the_default_at_once_one_holds_it(http: httpx.AsyncClient) -> None:
    models = [await a_model(http, model_type="rerank") for _ in range(6)]

    answers = await asyncio.gather(*(http.post(f"/api/v1/models/{model['id']}/set-default") for model in models * 2))

    assert {answer.status_code for answer in answers} == {200}
    held = (await http.get("/api/v1/models", params={"is_default": True, "model_type": "rerank"})).json()["items"]
    assert len(held) == 1


async def test_a_default_that_is_set_while_it_is_changed_is_both(http: httpx.AsyncClient) -> None:
    for number in range(5):
        model = await a_model(http)
        path = f"/api/v1/models/{model['id']}"
        await asyncio.gather(
            http.patch(path, json={"custom_name": f"changed {number}"}), http.post(f"{path}/set-default")
        )
        found = await shown(http, path)
        assert (found["custom_name"], found["is_default"], found["version"]) == (f"changed {number}", True, 3)


async def test_the_default_of_a_type_stays_of_that_type(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    await listed(opened, supplier, 1, model_type="language")
    await http.post("/api/v1/models/one/set-default")

    refused = await http.patch("/api/v1/models/one", json={"model_type": "image"})
    await listed(opened, supplier, 2, model_type="multimodal")

    assert (refused.status_code, refused.json()["code"], fields_of(refused)) == (409, "default_model", ["model_type"])
    found = await shown(http, "/api/v1/models/one")
    assert (found["model_type"], found["is_default"]) == ("language", True)


@pytest.mark.parametrize("key", ["01a1fd14-c71e-70a4-8b3b-2f01a8520c83", "vendor/nothing"])
async def test_a_default_that_is_not_there_is_not_found(http: httpx.AsyncClient, key: str) -> None:
    assert (await http.post(f"/api/v1/models/{key}/set-default")).status_code == 404


async def test_a_source_takes_what_it_does_otherwise_and_is_found_by_it(http: httpx.AsyncClient) -> None:
    model, supplier = await a_model(http), await a_supplier(http)
    plain = await a_source(http, model["id"], supplier["id"], upstream_name="plain-One")
    other = await a_source(http, model["id"], supplier["id"], upstream_name="other", is_enabled=False)
    change = {"priority": 0, "weight": 1000, "protocol": "anthropic", "features": {"tools": False, "vision": True}}

    changed = (await http.patch(f"/api/v1/sources/{plain['id']}", json=change)).json()

    assert {name: changed[name] for name in change} == change
    for query, found in (
        ({"search": "PLAIN"}, [plain]),
        ({"search": "n-o"}, [plain]),
        ({"search": "%"}, []),
        ({"reason": "disabled"}, [other]),
        ({"is_enabled": False}, [other]),
        ({"is_available": True}, [plain]),
        ({"health": "unknown"}, [plain, other]),
        ({"health": "down"}, []),
        ({"origin": "administrator"}, [plain, other]),
        ({"origin": "listing"}, []),
        ({"sort": "-upstream_name"}, [plain, other]),
    ):
        items = (await http.get("/api/v1/sources", params={**query, "model_id": model["id"]})).json()["items"]
        assert [item["id"] for item in items] == [each["id"] for each in found], query
    emptied = (await http.patch(f"/api/v1/sources/{plain['id']}", json={"protocol": None, "features": None})).json()
    assert (emptied["protocol"], emptied["features"]) == (None, None)
