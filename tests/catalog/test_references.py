"""What chains, complexity routings, scopes and access keys have in common, because they refer to models."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx
import pytest

from builders import a_served_model, shown
from catalog.statements import selects_of
from catalogs import Told
from modelbus.contracts.catalog import CHANGES, ModelChanged
from running import eventually
from servers import FreshDatabase

type Places = dict[str, Any]

BODIES: dict[str, Callable[[str], Places]] = {
    "fallback-chains": lambda model_id: {"steps": [{"model_id": model_id}]},
    "splits": lambda model_id: {"arms": [{"name": "a", "model_id": model_id, "weight": 1}]},
    "complexity-routing": lambda model_id: {"levels": [{"level": "hard", "model_ids": [model_id]}]},
    "cost-strategies": lambda model_id: {"cost_weight": 1, "model_ids": [model_id]},
    "scopes": lambda model_id: {"model_ids": [model_id]},
    "access-keys": lambda model_id: {"model_ids": [model_id]},
}
KINDS = {
    "fallback-chains": "chain",
    "splits": "split",
    "complexity-routing": "complexity",
    "cost-strategies": "strategy",
    "scopes": "scope",
    "access-keys": "access_key",
}
TABLES = {
    "fallback-chains": "chains",
    "splits": "splits",
    "complexity-routing": "complexity_routings",
    "cost-strategies": "strategies",
    "scopes": "scopes",
    "access-keys": "access_keys",
}
every_noun = pytest.mark.parametrize("noun", BODIES)


async def a_holder(http: httpx.AsyncClient, noun: str, name: str, model_id: str) -> str:
    answer = await http.post(f"/api/v1/{noun}", json={"name": name, **BODIES[noun](model_id)})
    assert answer.status_code == 201, answer.text
    holder_id: str = answer.json()["id"]
    return holder_id


async def until_waiting(connection: "asyncpg.Connection[asyncpg.Record]", number: int) -> None:
    """Wait until as many connections wait for a lock."""
    await eventually(lambda: _are_waiting(connection, number))


async def _are_waiting(connection: "asyncpg.Connection[asyncpg.Record]", number: int) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    waiting: int = await connection.fetchval(query)
    return waiting == number


@every_noun
async def test_a_list_takes_as_many_statements_for_many_as_for_one(http: httpx.AsyncClient, noun: str) -> None:
    model_id = (await a_served_model(http))["id"]

    async def statements_of_a_list(number: int) -> int:
        assert len((await shown(http, f"/api/v1/{noun}"))["items"]) == number
        return await selects_of(lambda: shown(http, f"/api/v1/{noun}"))

    await a_holder(http, noun, "first", model_id)
    for_one = await statements_of_a_list(1)
    for number in range(4):
        await a_holder(http, noun, f"another-{number}", model_id)

    assert await statements_of_a_list(5) == for_one
    assert 1 <= for_one <= 3


@every_noun
async def test_the_snapshot_lists_what_events_told_by_the_same_bytes(
    http: httpx.AsyncClient, told: Told, noun: str
) -> None:
    one, two = (await a_served_model(http))["id"], (await a_served_model(http))["id"]
    await a_holder(http, noun, "first", one)
    second = await a_holder(http, noun, "second", two)
    deleted = await a_holder(http, noun, "deleted", two)
    await http.patch(f"/api/v1/{noun}/{second}", json={"name": "renamed", **BODIES[noun](one)})
    await http.delete(f"/api/v1/{noun}/{deleted}")

    listed = (await http.get(f"/api/v1/snapshot?kinds={KINDS[noun]}")).text

    first, _, _, renamed, _ = await told(CHANGES[KINDS[noun]])
    assert f"[{first.record.model_dump_json()},{renamed.record.model_dump_json()}]" in listed


@every_noun
async def test_a_change_that_waited_for_another_keeps_what_the_other_changed(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase, noun: str
) -> None:
    before, after = (await a_served_model(http))["id"], (await a_served_model(http))["id"]
    holder_id = await a_holder(http, noun, "first", before)
    holder = await asyncpg.connect(database.superuser())
    lock = holder.transaction()
    await lock.start()
    await holder.execute(f"SELECT 1 FROM catalog.{TABLES[noun]} FOR UPDATE")
    watcher = await asyncpg.connect(database.superuser())

    places = asyncio.create_task(http.patch(f"/api/v1/{noun}/{holder_id}", json=BODIES[noun](after)))
    await until_waiting(watcher, 1)
    name = asyncio.create_task(http.patch(f"/api/v1/{noun}/{holder_id}", json={"name": "renamed"}))
    await until_waiting(watcher, 2)
    await lock.rollback()
    answers = [await places, await name]
    await holder.close()
    await watcher.close()

    assert [answer.status_code for answer in answers] == [200, 200]
    last = (await told(CHANGES[KINDS[noun]]))[-1].record.model_dump_json()
    assert '"renamed"' in last
    assert after in last
    assert before not in last
    assert before not in (await http.get(f"/api/v1/{noun}/{holder_id}")).text


@every_noun
async def test_a_model_is_not_deleted_between_the_check_of_a_reference_and_its_commit(
    http: httpx.AsyncClient, database: FreshDatabase, noun: str
) -> None:
    model = await a_served_model(http)
    existing = await a_holder(http, noun, "existing", model["id"])
    rival = await asyncpg.connect(database.superuser())
    rivalry = rival.transaction()
    await rivalry.start()
    # A row of the same name that is not committed holds the insert up after the check of its references.
    await rival.execute(f"UPDATE catalog.{TABLES[noun]} SET name = 'wanted' WHERE id = $1", existing)
    watcher = await asyncpg.connect(database.superuser())

    making = asyncio.create_task(a_holder(http, noun, "wanted", model["id"]))
    await until_waiting(watcher, 1)
    deleting = asyncio.create_task(http.delete(f"/api/v1/models/{model['id']}", params={"force": True}))
    await until_waiting(watcher, 2)
    await rivalry.rollback()
    made, deleted = await making, await deleting
    query = "SELECT type, subject FROM catalog.outbox WHERE type = ANY($1) ORDER BY revision DESC LIMIT 2"
    types = [ModelChanged.type, CHANGES[KINDS[noun]].type]
    told_last = [tuple(row) for row in await watcher.fetch(query, types)]
    await rival.close()
    await watcher.close()

    assert deleted.status_code == 204
    assert told_last == [(ModelChanged.type, model["id"]), (CHANGES[KINDS[noun]].type, made)]
