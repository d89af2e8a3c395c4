"""The same change to many models: all or nothing, and a preview is exactly what comes of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
import sqlalchemy as sa

from builders import a_model, a_served_model, shown
from catalog.refusals import fields_of
from catalogs import Told, settings_for
from modelbus.catalog.actions.bulk import change_models
from modelbus.catalog.actions.versions import write
from modelbus.catalog.app import create_app
from modelbus.catalog.domain import bulk
from modelbus.catalog.domain.bulk import BulkChange
from modelbus.catalog.domain.references import NO_CONSENT
from modelbus.catalog.store.model_list import ModelFilter
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import ModelChanged, ModelUnavailable
from running import ADMIN_TOKEN, serving
from servers import Databases, FreshDatabase

BULK = "/api/v1/models/bulk"


@pytest.fixture(scope="module")
async def database(databases: Databases) -> AsyncIterator[FreshDatabase]:
    """One database for all of these, and one catalog; each test has models of its own."""
    async with databases.fresh() as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def http(database: FreshDatabase) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
    ):
        yield client


async def models_of(http: httpx.AsyncClient, kind: str, count: int = 3) -> list[dict[str, Any]]:
    return [await a_served_model(http, sub_type=kind) for _ in range(count)]


async def done(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await http.post(BULK, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def kept(database: FreshDatabase, query: str, *values: Any) -> Any:
    connection = await asyncpg.connect(database.superuser())
    found = await connection.fetchval(query, *values)
    await connection.close()
    return found


async def test_models_change_together_as_one_line_of_the_audit_log(
    http: httpx.AsyncClient, database: FreshDatabase, told: Told
) -> None:
    models = await models_of(http, "together")
    changes, lines = len(await told(ModelChanged)), await kept(database, "SELECT count(*) FROM catalog.audit")

    found = await done(http, ids=[model["id"] for model in models[:2]], change={"tier": "max", "is_featured": True})

    assert (found["matched"], found["changed"], found["became_unavailable"]) == (2, 2, 0)
    assert [(each["id"], each["changed"]) for each in found["models"]] == [
        (model["id"], {"tier": ["free", "max"], "is_featured": [False, True]}) for model in models[:2]
    ]
    for model, tier in zip(models, ("max", "max", "free"), strict=True):
        assert (await shown(http, f"/api/v1/models/{model['id']}"))["tier"] == tier
    assert len(await told(ModelChanged)) == changes + 2
    assert await kept(database, "SELECT count(*) FROM catalog.audit") == lines + 1
    last = "SELECT id FROM catalog.audit ORDER BY id DESC LIMIT 1"
    assert await kept(database, f"SELECT changes FROM catalog.audit WHERE id = ({last})") == 2
    assert await kept(database, f"SELECT count(*) FROM catalog.versions WHERE audit_id = ({last})") == 2


async def test_a_filter_selects_what_the_list_shows_with_it(http: httpx.AsyncClient) -> None:
    models = await models_of(http, "by-filter")
    await http.patch(f"/api/v1/models/{models[1]['id']}", json={"tier": "own"})

    found = await done(http, filter={"sub_type": "by-filter", "tier": "free"}, change={"sub_type": "filtered"})

    assert [each["id"] for each in found["models"]] == [models[0]["id"], models[2]["id"]]


@pytest.mark.parametrize(
    "change", [{"tier": "pro"}, {"is_active": False}, {"lifecycle": "retired"}, {"tier": "free"}, {"retires_at": None}]
)
async def test_a_preview_is_exactly_what_comes_of_it_and_does_nothing(
    http: httpx.AsyncClient, told: Told, change: dict[str, Any]
) -> None:
    kind = f"preview-{next(iter(change.items()))}"
    models = await models_of(http, kind)
    body = {"filter": {"sub_type": kind}, "change": change}
    before = [await shown(http, f"/api/v1/models/{model['id']}") for model in models], len(await told(ModelChanged))

    answer = await http.post(BULK, json={**body, "preview": True})

    assert (answer.status_code, "x-modelbus-revision" in answer.headers) == (200, False)
    now = [await shown(http, f"/api/v1/models/{model['id']}") for model in models], len(await told(ModelChanged))
    assert now == before
    assert await done(http, **body) == {**answer.json(), "preview": False}


async def test_what_breaks_is_refused_unless_forced_or_replaced(http: httpx.AsyncClient, told: Told) -> None:
    models, successor = await models_of(http, "breaking"), await a_served_model(http)
    steps = [{"model_id": models[1]["id"]}]
    chain = (await http.post("/api/v1/fallback-chains", json={"name": "breaking", "steps": steps})).json()
    body = {"filter": {"sub_type": "breaking"}, "change": {"is_active": False}}

    previewed = (await http.post(BULK, json={**body, "preview": True})).json()
    refused = await http.post(BULK, json=body)
    replaced = await http.post(BULK, json=body, params={"replace_with": successor["id"]})

    assert (previewed["is_refused"], previewed["became_unavailable"]) == (True, 3)
    assert (refused.status_code, refused.json()["code"]) == (409, "still_referenced")
    assert refused.json()["findings"] == previewed["findings"]
    assert [finding["holder_name"] for finding in previewed["findings"]] == ["breaking"]
    assert (replaced.status_code, replaced.json()["is_refused"]) == (200, False)
    chain = await shown(http, f"/api/v1/fallback-chains/{chain['id']}")
    assert [step["model_id"] for step in chain["steps"]] == [successor["id"]]
    gone = [str(event.model_id) for event in await told(ModelUnavailable)][-3:]
    assert gone == [model["id"] for model in models]


async def test_forced_references_stay_stale(http: httpx.AsyncClient) -> None:
    [model] = await models_of(http, "forced", 1)
    await http.post("/api/v1/fallback-chains", json={"name": "forced", "steps": [{"model_id": model["id"]}]})
    body = {"ids": [model["id"]], "change": {"lifecycle": "retired"}}

    answer = await http.post(BULK, json=body, params={"force": True})

    assert (answer.status_code, len(answer.json()["findings"])) == (200, 1)
    assert (await shown(http, f"/api/v1/models/{model['id']}"))["reason"] == "retired"


async def test_one_that_is_not_there_refuses_all(http: httpx.AsyncClient) -> None:
    [model] = await models_of(http, "missing", 1)
    deleted = await a_model(http)
    await http.delete(f"/api/v1/models/{deleted['id']}")

    for missing in (str(new_id()), deleted["id"]):
        answer = await http.post(BULK, json={"ids": [model["id"], missing], "change": {"tier": "max"}})
        assert (answer.status_code, fields_of(answer)) == (422, ["ids.1"])
    assert (await shown(http, f"/api/v1/models/{model['id']}"))["version"] == 1


async def test_tags_and_categories_are_given_and_taken(http: httpx.AsyncClient) -> None:
    models = await models_of(http, "labelled", 2)
    labels = {}
    for noun in ("tags", "categories"):
        for name in ("one", "two"):
            made = await http.post(f"/api/v1/{noun}", json={"name": f"bulk-{name}", "display_name": name})
            assert made.status_code == 201, made.text
            labels[noun, name] = made.json()["id"]
    ids = [model["id"] for model in models]
    given = {"add_tag_ids": [labels["tags", "one"]], "add_category_ids": [labels["categories", "one"]]}
    taken = {"remove_tag_ids": [labels["tags", "one"]], "remove_category_ids": [labels["categories", "one"]]}

    await done(http, ids=ids, change={**given, "tier": "pro"})
    first = [await shown(http, f"/api/v1/models/{key}") for key in ids]
    again = await done(http, ids=ids, change=given)
    await done(http, ids=ids[:1], change={**taken, "add_tag_ids": [labels["tags", "two"]]})
    second = [await shown(http, f"/api/v1/models/{key}") for key in ids]

    held = [labels["tags", "one"]], [labels["categories", "one"]]
    assert [(each["tag_ids"], each["category_ids"]) for each in first] == [held, held]
    assert again["changed"] == 0
    assert [(each["tag_ids"], each["category_ids"]) for each in second] == [([labels["tags", "two"]], []), held]


async def test_a_tag_taken_in_bulk_is_not_given_again_by_its_rule(http: httpx.AsyncClient) -> None:
    rule = {"kind": "name_matches", "pattern": "bulk-ruled/*"}
    made = await http.post("/api/v1/tags", json={"name": "bulk-ruled", "display_name": "R", "rule": rule})
    assert made.status_code == 201, made.text
    model = await a_model(http, name="bulk-ruled/one")
    assert model["tag_ids"] == [made.json()["id"]]

    await done(http, ids=[model["id"]], change={"remove_tag_ids": [made.json()["id"]]})

    assert (await shown(http, f"/api/v1/models/{model['id']}"))["tag_ids"] == []


async def test_no_bulk_change_makes_a_ring_of_successors(http: httpx.AsyncClient) -> None:
    one, two = await models_of(http, "ring", 2)
    await http.patch(f"/api/v1/models/{one['id']}", json={"replacement_model_id": two["id"]})

    for successor in (one, two):
        change = {"replacement_model_id": successor["id"]}
        answer = await http.post(BULK, json={"ids": [two["id"]], "change": change})
        assert (answer.status_code, fields_of(answer)) == (422, ["change.replacement_model_id"])


async def test_bulk_changes_that_overlap_at_once_all_hold(http: httpx.AsyncClient) -> None:
    models = await models_of(http, "overlap", 6)
    ids = [model["id"] for model in models]
    bodies = [{"tier": "max"}, {"is_featured": True}, {"lifecycle": "deprecated"}, {"is_active": False}]

    answers = await asyncio.gather(
        *(
            http.post(BULK, json={"ids": ids[::-1] if number % 2 else ids, "change": change})
            for number, change in enumerate(bodies)
        )
    )

    assert [answer.status_code for answer in answers] == [200] * 4
    for key in ids:
        found = await shown(http, f"/api/v1/models/{key}")
        assert [found[name] for name in ("tier", "is_featured", "lifecycle", "is_active", "version")] == [
            "max",
            True,
            "deprecated",
            False,
            5,
        ]


async def test_a_bulk_change_takes_the_same_statements_however_many_models_it_has(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    await models_of(http, "few", 1)
    await models_of(http, "many", 9)
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
    statements: list[str] = []

    @sa.event.listens_for(opened._engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    taken, changed = [], []
    for kind in ("few", "many"):
        statements.clear()
        async with opened.transaction() as session:
            change = BulkChange({"is_active": False})
            result = await change_models(session, ModelFilter(sub_type=kind), change, NO_CONSENT, preview=False)
        taken.append(list(statements))
        changed.append(len(result.models))
    await opened.close()

    assert changed == [1, 9]
    assert taken[0] == taken[1]
    assert len(taken[0]) < 15


async def test_more_than_may_be_changed_at_once_are_refused(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await models_of(http, "crowd", 3)
    monkeypatch.setattr("modelbus.catalog.actions.bulk.MOST_AT_ONCE", 2)

    answer = await http.post(BULK, json={"filter": {"sub_type": "crowd"}, "change": {"tier": "max"}})

    assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "too_many_models", ["filter"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"change": {"tier": "max"}}, "body"),
        ({"ids": [str(new_id())], "filter": {}, "change": {"tier": "max"}}, "body"),
        ({"ids": [], "change": {"tier": "max"}}, "ids"),
        ({"ids": ["vendor/name"], "change": {"tier": "max"}}, "ids.0"),
        ({"ids": [str(new_id())] * 2, "change": {"tier": "max"}}, "body"),
        ({"filter": {"colour": "red"}, "change": {"tier": "max"}}, "filter.colour"),
        ({"filter": {"tier": "gold"}, "change": {"tier": "max"}}, "filter.tier"),
        ({"filter": {}, "change": {}}, "change"),
        ({"filter": {}, "change": {"tier": "gold"}}, "change.tier"),
        ({"filter": {}, "change": {"tier": None}}, "change.tier"),
        ({"filter": {}, "change": {"name": "all-the-same"}}, "change.name"),
        ({"filter": {}, "change": {"add_tag_ids": [str(new_id())]}}, "change.add_tag_ids.0"),
        ({"filter": {}, "change": {"remove_category_ids": [str(new_id())]}}, "change.remove_category_ids.0"),
        ({"filter": {}, "change": {"replacement_model_id": str(new_id())}}, "change.replacement_model_id"),
        ({"filter": {}, "change": {"add_tag_ids": [str(bulk.MOST_AT_ONCE)]}}, "change.add_tag_ids.0"),
    ],
)
async def test_a_bulk_change_that_can_not_be_is_refused(
    http: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await http.post(BULK, json=body)

    assert (answer.status_code, fields_of(answer)) == (422, [field])


async def test_a_condition_is_refused_where_there_are_many_things(http: httpx.AsyncClient) -> None:
    [model] = await models_of(http, "condition", 1)
    body = {"ids": [model["id"]], "change": {"tier": "max"}}

    answer = await http.post(BULK, json=body, headers={"If-Match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (400, "condition_not_taken")
