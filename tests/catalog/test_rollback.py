"""Rollback: the exact earlier state as a new version, checked and told as a change by hand."""

from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalogs import Told
from modelbus.catalog.api.history_paths import PATHS
from modelbus.contracts.catalog import ChainChanged, ModelAvailable, ModelChanged, ScopeChanged
from servers import FreshDatabase

V1 = "/api/v1"


async def made(http: httpx.AsyncClient, noun: str, **body: Any) -> dict[str, Any]:
    answer = await http.post(f"{V1}/{noun}", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def document(http: httpx.AsyncClient, path: str, number: int) -> dict[str, Any]:
    found: dict[str, Any] = (await shown(http, f"{path}/versions/{number}"))["document"]
    return found


async def back(http: httpx.AsyncClient, path: str, number: int, **headers: str) -> httpx.Response:
    return await http.post(f"{path}/rollback", json={"version": number}, headers=headers)


async def changed_thing(http: httpx.AsyncClient, kind: str) -> tuple[str, list[dict[str, Any]]]:
    """Make one thing of the kind; answer its path, and changes that touch all that it has."""
    one, other = [(await a_served_model(http))["id"] for _ in range(2)]
    name = f"n-{uuid4().hex}"
    strategy = await made(http, "cost-strategies", name=name, cost_weight=1)
    steps = [{"model_id": one}, {"model_id": other, "triggers": ["timeout"]}]
    levels = [{"level": "easy", "model_ids": [one]}, {"level": "hard", "model_ids": [other]}]
    arms = [{"name": "a", "model_id": one, "weight": 3}, {"name": "b", "model_id": other, "weight": 1}]
    made_of: dict[str, tuple[str, dict[str, Any] | None, list[dict[str, Any]]]] = {
        "supplier": ("suppliers", None, [{"name": f"{name}-2"}, {"removal_after": 9}]),
        "model": (
            "models",
            {"aliases": ["first-alias"]},
            [{"context_window": 7}, {"aliases": ["second-alias"], "name": "another"}, {"is_active": False}],
        ),
        "chain": (
            "fallback-chains",
            {"steps": steps},
            [{"steps": steps[1:]}, {"steps": steps[:1], "description": "d"}, {"name": f"{name}-2"}],
        ),
        "split": (
            "splits",
            {"arms": arms, "sticky_by": "user"},
            [{"arms": arms[1:]}, {"shadows": [{"name": "s", "model_id": one, "percent": 2.5}], "sticky_by": "none"}],
        ),
        "complexity": ("complexity-routing", {"levels": levels}, [{"levels": levels[1:]}, {"is_active": False}]),
        "strategy": (
            "cost-strategies",
            {"latency_weight": 1},
            [{"model_ids": [one, other], "max_input_price": "1.50"}, {"cost_weight": 0.25}],
        ),
        "scope": (
            "scopes",
            {"model_ids": [one, other]},
            [{"default_model_id": one, "strategy_id": strategy["id"]}, {"model_ids": [one]}],
        ),
        "consumer": (
            "consumers",
            {"kind": "tenant", "model_ids": [one]},
            [{"model_ids": [other], "rpm_limit": 5}, {"tier": "pro"}],
        ),
    }
    noun, body, changes = made_of[kind]
    thing = await a_supplier(http) if body is None else await made(http, noun, name=f"{name}-1", **body)
    return f"{V1}/{noun}/{thing['id']}", changes


KINDS = ("supplier", "model", "chain", "split", "complexity", "strategy", "scope", "consumer")


@pytest.mark.parametrize("kind", KINDS)
async def test_going_back_gives_the_exact_earlier_state_as_a_new_version(http: httpx.AsyncClient, kind: str) -> None:
    path, changes = await changed_thing(http, kind)
    for change in changes:
        answer = await http.patch(path, json=change)
        assert answer.status_code == 200, answer.text
    newest = len(changes) + 1

    for number in range(1, newest + 1):
        answer = await back(http, path, number)
        assert answer.status_code == 200, answer.text
        now = answer.json()["version"]
        assert now == newest + number
        assert answer.headers["etag"] == f'"{now}"' == (await http.get(path)).headers["etag"]
        assert await document(http, path, now) == await document(http, path, number) == answer.json()["document"]


@pytest.mark.parametrize("kind", KINDS)
async def test_going_back_to_the_present_changes_nothing(http: httpx.AsyncClient, kind: str) -> None:
    path, _changes = await changed_thing(http, kind)
    revision = (await http.get(f"{V1}/head")).json()["revision"]

    answer = await back(http, path, 1)

    assert (answer.status_code, answer.json()["version"], answer.headers["etag"]) == (200, 1, '"1"')
    assert (await http.get(f"{V1}/head")).json()["revision"] == revision
    assert len((await shown(http, f"{path}/versions"))["items"]) == 1


@pytest.mark.parametrize("kind", ["model", "chain", "split", "complexity", "strategy", "scope", "consumer"])
async def test_what_was_deleted_comes_back(http: httpx.AsyncClient, kind: str) -> None:
    path, _changes = await changed_thing(http, kind)
    assert (await http.delete(path)).status_code == 204
    assert (await http.get(path)).status_code == 404

    refused = await back(http, path, 2)
    answer = await back(http, path, 1, **{"If-Match": '"2"'})

    assert (refused.status_code, refused.json()["code"]) == (409, "rollback_to_deletion")
    assert (answer.status_code, answer.json()["version"]) == (200, 3)
    assert (await http.get(path)).headers["etag"] == '"3"'
    assert await document(http, path, 3) == await document(http, path, 1)
    snapshot = (await http.get(f"{V1}/snapshot")).json()["records"]
    told = snapshot.get(kind)
    assert told is None or path.rpartition("/")[2] in [record["id"] for record in told]


@pytest.mark.parametrize("kind", ["model", "chain", "split", "complexity", "strategy", "scope", "consumer"])
async def test_what_was_deleted_does_not_come_back_under_a_name_that_is_taken(
    http: httpx.AsyncClient, kind: str
) -> None:
    path, _changes = await changed_thing(http, kind)
    name = (await shown(http, path))["name"]
    await http.delete(path)
    noun = path.split("/")[3]
    bodies: dict[str, dict[str, Any]] = {
        "model": {},
        "chain": {"steps": [{"model_id": (await a_served_model(http))["id"]}]},
        "split": {"arms": [{"name": "a", "model_id": (await a_model(http))["id"], "weight": 1}]},
        "complexity": {"levels": [{"level": "easy", "model_ids": [(await a_model(http))["id"]]}]},
        "strategy": {"cost_weight": 1},
        "scope": {"model_ids": [(await a_model(http))["id"]]},
        "consumer": {"kind": "tenant"},
    }
    await made(http, noun, name=name, **bodies[kind])

    answer = await back(http, path, 1)

    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists"), answer.text
    assert (await http.get(path)).status_code == 404


async def test_what_names_something_deleted_is_refused_with_each_named_and_nothing_changes(
    http: httpx.AsyncClient,
) -> None:
    gone, other, left = [await a_served_model(http) for _ in range(3)]
    strategy = await made(http, "cost-strategies", name="cheap", cost_weight=1)
    scope = await made(
        http,
        "scopes",
        name="scope",
        model_ids=[gone["id"], other["id"]],
        default_model_id=gone["id"],
        strategy_id=strategy["id"],
    )
    path = f"{V1}/scopes/{scope['id']}"
    await http.put(path, json={"name": "scope", "model_ids": [left["id"]]})
    for each in (f"models/{gone['id']}", f"cost-strategies/{strategy['id']}"):
        assert (await http.delete(f"{V1}/{each}")).status_code == 204
    revision = (await http.get(f"{V1}/head")).json()["revision"]

    answer = await back(http, path, 1)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "rollback_refers_to_deleted")
    assert sorted((each["field"], each["kind"], each["id"], each["name"]) for each in problem["findings"]) == [
        ("default_model_id", "model", gone["id"], gone["name"]),
        ("model_ids.0", "model", gone["id"], gone["name"]),
        ("strategy_id", "strategy", strategy["id"], "cheap"),
    ]
    assert gone["name"] in problem["detail"]
    assert (await http.get(f"{V1}/head")).json()["revision"] == revision
    assert (await http.get(path)).headers["etag"] == '"2"'


async def test_a_step_whose_source_is_gone_or_serves_another_model_is_refused(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    model, other, supplier = await a_served_model(http), await a_served_model(http), await a_supplier(http)
    source = await a_source(http, model["id"], supplier["id"])
    steps = [{"model_id": model["id"], "source_id": source["id"]}]
    chain = await made(http, "fallback-chains", name="chain", steps=steps)
    path = f"{V1}/fallback-chains/{chain['id']}"
    await http.patch(path, json={"steps": [{"model_id": other["id"]}]})
    connection = await asyncpg.connect(database.superuser())
    await connection.execute("UPDATE catalog.sources SET model_id = $1 WHERE id = $2", other["id"], source["id"])
    await connection.close()

    moved = await back(http, path, 1)
    await http.delete(f"{V1}/sources/{source['id']}")
    gone = await back(http, path, 1)

    for answer, why in ((moved, "serves another model by now"), (gone, "was deleted")):
        assert (answer.status_code, answer.json()["code"]) == (409, "rollback_refers_to_deleted"), answer.text
        assert [(each["field"], each["message"]) for each in answer.json()["findings"]] == [
            ("steps.0.target.source_id", why)
        ]


async def test_steps_keep_their_ids(http: httpx.AsyncClient, told: Told) -> None:
    one, other = await a_served_model(http), await a_served_model(http)
    steps = [{"model_id": one["id"]}, {"model_id": other["id"]}]
    chain = await made(http, "fallback-chains", name="chain", steps=steps)
    path = f"{V1}/fallback-chains/{chain['id']}"
    await http.patch(path, json={"steps": steps[1:]})

    await back(http, path, 1)

    assert [step["id"] for step in (await shown(http, path))["steps"]] == [step["id"] for step in chain["steps"]]
    first, _second, third = await told(ChainChanged)
    assert third.record == first.record


async def test_going_back_is_told_once_and_settles_what_serves(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    path = f"{V1}/models/{model['id']}"
    await http.post(f"{path}/disable")
    before = len(await told(ModelChanged))

    await back(http, path, 1)

    assert (await shown(http, path))["is_available"] is True
    changes = await told(ModelChanged)
    assert len(changes) == before + 1
    assert changes[-1].record.is_available is True
    assert len(await told(ModelAvailable)) == 2


async def test_a_deleted_model_that_comes_back_is_served_again(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    path = f"{V1}/models/{model['id']}"
    await http.delete(path)

    await back(http, path, 1)

    assert (await shown(http, path))["is_available"] is True


async def test_a_successor_that_leads_back_by_now_is_refused(http: httpx.AsyncClient) -> None:
    one, other = [await a_model(http) for _ in range(2)]
    paths = [f"{V1}/models/{each['id']}" for each in (one, other)]
    await http.patch(paths[0], json={"replacement_model_id": other["id"]})
    await http.patch(paths[0], json={"replacement_model_id": None})
    await http.patch(paths[1], json={"replacement_model_id": one["id"]})

    answer = await back(http, paths[0], 2)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "replacement_model_id")
    assert (await shown(http, paths[0]))["version"] == 3


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_who_becomes_the_default_again_takes_it_from_whoever_is_it_now(
    http: httpx.AsyncClient, told: Told, *, is_deleted: bool
) -> None:
    one, other = [await a_model(http) for _ in range(2)]
    path = f"{V1}/models/{one['id']}"
    for each in (one, other):
        await http.post(f"{V1}/models/{each['id']}/set-default")
    if is_deleted:
        await http.delete(path)

    answer = await back(http, path, 2)

    assert answer.status_code == 200, answer.text
    assert (await shown(http, path))["is_default"] is True
    assert (await shown(http, f"{V1}/models/{other['id']}"))["is_default"] is False
    records = [each.record for each in await told(ModelChanged) if each.record is not None]
    defaults = {record.id: record.is_default for record in records}
    assert defaults == {UUID(one["id"]): True, UUID(other["id"]): False}


async def test_a_listing_tells_again_what_an_administrator_took_back(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    path = f"{V1}/models/{model['id']}"
    provenance = (await shown(http, path))["provenance"]
    await http.patch(path, json={"context_window": 5, "display_name": "Mine"})

    await back(http, path, 1)

    assert (await shown(http, path))["provenance"] == provenance


async def test_going_back_to_out_of_service_is_refused_while_something_refers_to_it(http: httpx.AsyncClient) -> None:
    strategy = await made(http, "cost-strategies", name="cheap", cost_weight=1, is_active=False)
    path = f"{V1}/cost-strategies/{strategy['id']}"
    await http.post(f"{path}/enable")
    model = await a_served_model(http)
    await made(http, "scopes", name="scope", model_ids=[model["id"]], strategy_id=strategy["id"])

    refused = await back(http, path, 1)
    forced = await http.post(f"{path}/rollback?force=true", json={"version": 1})

    assert (refused.status_code, refused.json()["code"]) == (409, "still_referenced")
    assert forced.status_code == 200
    assert (await shown(http, path))["is_active"] is False


async def test_going_back_takes_a_condition_and_refuses_yesterdays(http: httpx.AsyncClient, told: Told) -> None:
    path, changes = await changed_thing(http, "scope")
    await http.patch(path, json=changes[0])

    stale = await back(http, path, 1, **{"If-Match": '"1"'})
    fresh = await back(http, path, 1, **{"If-Match": '"2"'})

    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")
    assert (fresh.status_code, fresh.json()["version"]) == (200, 3)
    assert len(await told(ScopeChanged)) == 3


async def test_a_version_of_an_older_shape_takes_the_default_for_what_it_did_not_know(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    path, changes = await changed_thing(http, "chain")
    await http.patch(path, json=changes[0])
    model, _changes = await changed_thing(http, "model")
    await http.patch(model, json={"context_window": 5, "is_active": False})
    await older(database, path, "document - 'origin' #- '{steps,0,target,triggers}' #- '{steps,1,target,triggers}'")
    await older(database, model, "(document - 'tier' - 'tag_ids' - 'parameters') || '{\"forgotten\": 1}'")

    answers = [await back(http, path, 1), await back(http, model, 1)]

    assert [answer.status_code for answer in answers] == [200, 200]
    chain = answers[0].json()["document"]
    assert chain["origin"] == "administrator"
    assert [step["target"]["triggers"] for step in chain["steps"]] == [["any"], ["any"]]
    restored = answers[1].json()["document"]
    assert (restored["tier"], restored["tag_ids"], restored["parameters"]) == ("free", [], [])
    assert "forgotten" not in restored


async def test_a_version_that_is_understood_no_more_is_refused(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    path, changes = await changed_thing(http, "strategy")
    await http.patch(path, json=changes[0])
    await older(database, path, "jsonb_set(document, '{cost_weight}', '\"a lot\"')")

    answer = await back(http, path, 1)

    assert (answer.status_code, answer.json()["code"]) == (409, "version_unreadable")
    assert (await http.get(path)).headers["etag"] == '"2"'


@pytest.mark.parametrize("body", [{}, {"version": 0}, {"version": "x"}, {"version": 1, "more": 1}, {"version": 2**31}])
async def test_a_version_that_can_not_be_is_refused(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    path, _changes = await changed_thing(http, "scope")

    assert (await http.post(f"{path}/rollback", json=body)).status_code == 422


@pytest.mark.parametrize("kind", KINDS)
async def test_a_version_or_thing_that_is_not_there_is_not_found(http: httpx.AsyncClient, kind: str) -> None:
    path, _changes = await changed_thing(http, kind)
    nothing = f"{V1}{PATHS[kind]}".replace("{thing:path}", str(uuid4())).replace("{thing}", str(uuid4()))

    assert (await back(http, path, 99)).status_code == 404
    assert (await back(http, nothing, 1)).status_code == 404


async def older(database: FreshDatabase, path: str, shape: str) -> None:
    """Make the first version what an older release would have kept."""
    connection = await asyncpg.connect(database.superuser())
    try:
        await connection.execute("ALTER TABLE catalog.versions DISABLE TRIGGER USER")
        thing = path.rpartition("/")[2]
        await connection.execute(
            f"UPDATE catalog.versions SET document = {shape} WHERE thing_id = $1 AND number = 1", thing
        )
    finally:
        await connection.close()
