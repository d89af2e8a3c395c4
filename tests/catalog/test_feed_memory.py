"""The feed in memory: read once, advanced by the events, compared with the tables, and sent in few bodies."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import httpx
import msgspec
import pytest

from builders import a_model, a_served_model, a_source, a_supplier
from catalog.labels import a_capability, a_tag, made, put
from modelbus.catalog.actions.feed import KINDS, Feed
from modelbus.catalog.actions.snapshots import Snapshots, View
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.outbox import Head as Position
from modelbus.contracts.feed import Snapshot
from running import eventually
from servers import FreshDatabase

EVERY = frozenset(KINDS)
MODELS = frozenset({"model"})


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield catalog
    await catalog.close()


@pytest.fixture
def feed(opened: Database) -> Feed:
    return Feed(opened, outbox)


async def untold(database: FreshDatabase, statement: str) -> None:
    """Change the database behind everybody's back."""
    connection = await asyncpg.connect(database.superuser())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def shown(feed: Feed) -> Snapshot:
    body = await feed.snapshot(EVERY, is_zipped=False)
    return msgspec.json.decode(body.content, type=Snapshot)


async def names(feed: Feed) -> list[str]:
    return sorted(msgspec.json.decode(raw)["display_name"] for raw in (await shown(feed)).records["model"])


async def test_what_has_happened_is_taken_from_the_events_and_not_from_the_tables(
    feed: Feed, http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    await a_model(http, name="m/one", display_name="One")
    assert await names(feed) == ["One"]
    await untold(database, "UPDATE catalog.models SET display_name = 'untold'")

    await a_model(http, name="m/two", display_name="Two")

    assert await names(feed) == ["One", "Two"]


@pytest.mark.parametrize(
    "gap",
    [
        "DELETE FROM catalog.outbox WHERE revision = (SELECT max(revision) - 1 FROM catalog.outbox)",
        "UPDATE catalog.catalog_head SET epoch = '00000000-0000-4000-8000-000000000000'",
        "UPDATE catalog.outbox SET body = '{' WHERE revision = (SELECT max(revision) FROM catalog.outbox)",
        "UPDATE catalog.catalog_head SET version = 1",
    ],
    ids=["trimmed", "another epoch", "unreadable", "went back"],
)
async def test_where_the_events_do_not_lead_on_the_tables_are_read(
    feed: Feed, http: httpx.AsyncClient, database: FreshDatabase, gap: str
) -> None:
    await a_model(http, name="m/one", display_name="One")
    await a_model(http, name="m/two", display_name="Two")
    assert await names(feed) == ["One", "Two"]
    await a_model(http, name="m/three", display_name="Three")
    await a_model(http, name="m/four", display_name="Four")

    await untold(database, gap)

    assert await names(feed) == ["Four", "One", "Three", "Two"]


async def test_two_feeds_that_began_at_different_times_tell_the_same(
    feed: Feed, opened: Database, http: httpx.AsyncClient
) -> None:
    await feed.advance()
    await a_served_model(http)
    late = Feed(opened, outbox)
    await late.advance()
    model = await a_served_model(http)
    await http.delete(f"/api/v1/models/{model['id']}")

    assert await feed.head() == await late.head()
    assert (await shown(feed)).digests == (await shown(late)).digests


async def test_settings_are_told_as_the_tables_give_them_back(
    feed: Feed, opened: Database, http: httpx.AsyncClient
) -> None:
    await feed.advance()
    model, supplier, odd = await a_model(http), await a_supplier(http), {"later": True, "b": False, "a": True}
    source = await a_source(http, model["id"], supplier["id"], features=odd)
    step = {"model_id": model["id"], "source_id": source["id"], "features": odd}
    await made(http, "/api/v1/fallback-chains", {"name": "odd", "steps": [step]})
    await a_tag(http, rule={"kind": "top_by_usage", "count": 3, "days": 7})
    for config in ({"much": 1e300, "none": -0.0, "a": [{"é": 1, "zz": 0.1, "y": None}]}, odd):
        given = await a_capability(http)
        await put(http, f"/api/v1/models/{model['id']}/capabilities/{given['id']}", {"config": config})
    followed = await feed.head()

    read = await Feed(opened, outbox).head()

    assert {kind for kind in KINDS if followed.digests[kind] != read.digests[kind]} == set()


async def test_an_audit_finds_what_nobody_told_and_reads_it(
    feed: Feed, http: httpx.AsyncClient, database: FreshDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_model(http, name="m/one", display_name="One")
    before = await feed.head()
    await feed.audit(rest_s=0)
    assert "differs" not in capsys.readouterr().out
    await untold(database, "UPDATE catalog.models SET display_name = 'Untold'")

    await feed.audit(rest_s=0)

    after = await feed.head()
    said = capsys.readouterr().out
    assert "the feed differs from the tables" in said
    assert "model" in said
    assert after.revision == before.revision
    assert {kind for kind in KINDS if after.digests[kind] != before.digests[kind]} == {"model"}
    assert await names(feed) == ["Untold"]
    assert await feed.problem() is None


async def test_an_audit_reads_anew_what_another_release_told_in_another_shape_and_says_nothing_is_wrong(
    feed: Feed, opened: Database, http: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    model = UUID((await a_model(http))["id"])
    await feed.advance()
    fewer = json.loads(feed._replica.records["model"][model])
    del fewer["description"]
    feed._replica.put("model", model, json.dumps(fewer).encode())

    await feed.audit(rest_s=0)

    said = capsys.readouterr().out
    assert "differs" not in said
    assert "another shape" in said
    assert await feed.head() == await Feed(opened, outbox).head()


async def test_who_holds_the_records_has_all_of_them_while_an_audit_reads_them_anew(
    feed: Feed, http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    await a_model(http)
    await feed.advance()
    await untold(database, "UPDATE catalog.models SET display_name = 'Untold'")
    audit = asyncio.create_task(feed.audit(rest_s=0.01))
    while not feed._turn.locked():  # noqa: ASYNC110 - the lock tells nobody that it is taken
        await asyncio.sleep(0)

    async with feed.held():
        await eventually(lambda: feed._differs)
        held = len(feed._replica.records["model"])
    await audit

    assert held == 1
    assert await names(feed) == ["Untold"]


async def test_changes_while_an_audit_reads_are_no_difference(
    feed: Feed, http: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    await a_model(http)
    await feed.advance()

    audit = asyncio.create_task(feed.audit(rest_s=0.05))
    while not audit.done():
        await a_model(http)
        await feed.advance()
    await audit

    assert "differs" not in capsys.readouterr().out


async def test_the_compressed_snapshot_holds_the_same_as_the_plain_one(feed: Feed, http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await a_served_model(http)

    zipped, plain = await asyncio.gather(*(feed.snapshot(EVERY, is_zipped=each) for each in (True, False)))

    assert gzip.decompress(zipped.content) == plain.content
    assert zipped.position == plain.position


async def test_a_snapshot_of_an_empty_catalog_is_whole(feed: Feed) -> None:
    snapshot = await shown(feed)

    assert snapshot.records == {kind: [] for kind in KINDS}
    assert set(snapshot.digests) == EVERY


async def test_callers_at_the_same_time_share_one_making() -> None:
    looked: list[Position] = []
    snapshots = Snapshots()
    position = Position(new_id(), 7)

    async def look(kinds: frozenset[str]) -> View:
        looked.append(position)
        await asyncio.sleep(0)
        return View(position, dict.fromkeys(kinds, "0"), {kind: [b"{}"] for kind in kinds})

    async def ask(kinds: frozenset[str], revision: int) -> bytes:
        newest = Position(position.epoch, revision)
        return (await snapshots.get(kinds, look, newest=newest, is_zipped=False)).content

    bodies = await asyncio.gather(*(ask(MODELS, revision) for revision in (7, 6, 5, 7, 7)))

    assert len({id(body) for body in bodies}) == len(looked) == 1
    await ask(MODELS, 8)
    assert len(looked) == 2
    snapshots.drop()
    await ask(MODELS, 7)
    assert len(looked) == 3


async def test_a_caller_who_has_the_newest_snapshot_is_told_so(http: httpx.AsyncClient) -> None:
    await a_model(http)
    head = (await http.get("/api/v1/head")).json()
    tag = f'"{head["epoch"]}-{head["revision"]}"'

    answer = await http.get("/api/v1/snapshot", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.headers["etag"], answer.content) == (304, tag, b"")
