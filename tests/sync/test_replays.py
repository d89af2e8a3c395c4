"""What suppliers answered is kept as it came, and read again to see what it would change now."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from modelbus.chassis.ids import new_id
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import ListingFetched
from modelbus.simulator import Fault
from modelbus.sync.clients.answers import Answer
from modelbus.sync.clients.replay import pack, unpack
from modelbus.sync.jobs import forget_old
from modelbus.sync.store.raw_listings import save_raw
from modelbus.sync.store.tables import outbox, raw_listings
from running import SERVICE_TOKEN
from servers import Databases
from sync.catalog_stand_in import a_supplier
from sync.running_sync import OpenDatabase, RunningSync, neighbours, running_sync
from sync.test_queue import a_run, request

PRICES = {f"m{number:02}": "0.000001" for number in range(10)}


def listed(sync: RunningSync, prices: dict[str, str]) -> None:
    sync.simulator.openrouter.serve_models([{"id": name, "pricing": {"prompt": each}} for name, each in prices.items()])


async def an_applied_run(sync: RunningSync) -> tuple[SupplierRecord, dict[str, Any]]:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), namespace=f"n-{uuid4()}")
    await sync.catalog.put(supplier)
    listed(sync, PRICES)
    return supplier, await sync.applied(await sync.listing_of(supplier))


async def replay(sync: RunningSync, run: dict[str, Any], **query: Any) -> dict[str, Any]:
    answer = await sync.http.post(f"/api/v1/runs/{run['id']}/replay", params=query)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_what_a_supplier_answered_is_kept_as_it_came(sync: RunningSync) -> None:
    _, run = await an_applied_run(sync)

    answer = await sync.http.get(f"/api/v1/runs/{run['id']}/raw")

    [page] = answer.json()["pages"]
    assert page["content_type"].startswith("application/json")
    assert [each["id"] for each in json.loads(page["text"])["data"]] == list(PRICES)
    assert len(page["text"]) == run["bytes_read"]


async def test_a_replay_of_the_listing_that_was_applied_last_changes_nothing(sync: RunningSync) -> None:
    _, run = await an_applied_run(sync)

    shown = await replay(sync, run)

    assert shown["digest"] == run["digest"]
    assert (shown["base_run_id"], shown["reasons"], shown["items"]) == (run["id"], [], [])
    assert (shown["added"], shown["removed"], shown["changed"], shown["listed_count"]) == (0, 0, 0, 10)


async def test_a_replay_shows_what_the_listing_would_change_now_and_writes_nothing(sync: RunningSync) -> None:
    supplier, old = await an_applied_run(sync)
    listed(sync, {**dict(list(PRICES.items())[1:]), "m09": "0.000002", "new": "0.000001"})
    await sync.applied(await sync.listing_of(supplier))
    runs_before = (await sync.http.get("/api/v1/runs", params={"supplier_id": str(supplier.id)})).json()
    told_before = len(await sync.told(ListingFetched))

    shown = await replay(sync, old, limit=2)
    rest = await replay(sync, old, cursor=shown["next_cursor"])

    assert (shown["added"], shown["removed"], shown["changed"]) == (1, 1, 1)
    assert [(each["upstream_name"], each["change"]) for each in shown["items"] + rest["items"]] == [
        ("m00", "added"),
        ("m09", "changed"),
        ("new", "removed"),
    ]
    assert rest["next_cursor"] is None
    assert (await sync.http.get("/api/v1/runs", params={"supplier_id": str(supplier.id)})).json() == runs_before
    assert len(await sync.told(ListingFetched)) == told_before


def is_dearer_or_cheaper(change: dict[str, Any]) -> bool:
    cost = change["fields"].get("cost")
    return bool(cost) and any(cost["before"][price] != cost["after"][price] for price in ("input", "output"))


async def test_the_two_recordings_of_one_aggregator_differ_as_they_did(sync: RunningSync) -> None:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), namespace=f"n-{uuid4()}")
    await sync.catalog.put(supplier)
    first = await sync.applied(await sync.listing_of(supplier))
    sync.simulator.openrouter.serve_recording("2025-04-23")
    second = await sync.listing_of(supplier)

    shown = await replay(sync, second, limit=1000)

    assert (first["listed_count"], second["listed_count"], second["status"]) == (194, 302, "fetched")
    assert (shown["added"], shown["removed"], shown["listed_count"] - shown["added"]) == (157, 49, 145)
    assert sum(is_dearer_or_cheaper(each) for each in shown["items"]) == 60
    assert (shown["held_prices_count"], shown["reasons"]) == (0, [])


async def test_a_replay_goes_by_the_rules_and_the_guard_of_now(sync: RunningSync) -> None:
    supplier, old = await an_applied_run(sync)
    listed(sync, {"m00": "0.000001", "m01": "0.000001"})
    await sync.http.put(f"/api/v1/guards/{supplier.id}", json={"most_lost_share": 1})
    await sync.applied(await sync.listing_of(supplier))
    await sync.http.put(f"/api/v1/guards/{supplier.id}", json={"most_growth": 1.5})
    await sync.http.post("/api/v1/ignore-rules", json={"pattern": "m0[2-5]", "supplier_id": str(supplier.id)})
    many = [{"id": f"m{number:02}", "pricing": {"prompt": "0.000001"}} for number in range(40)]
    sync.simulator.openrouter.serve_models(many)
    large = await sync.listing_of(supplier)

    shown = await replay(sync, old)

    assert (shown["added"], shown["ignored_count"], shown["reasons"]) == (4, 4, [])
    assert large["reason"] == "sudden growth: 40 models where 2 were"
    assert (await replay(sync, large))["reasons"] == [large["reason"]]


async def test_an_answer_that_was_no_listing_is_kept_to_be_looked_at(sync: RunningSync) -> None:
    supplier, _ = await an_applied_run(sync)
    sync.simulator.openrouter.misbehave(Fault(truncated_json=True))
    run = await sync.listing_of(supplier)

    raw = await sync.http.get(f"/api/v1/runs/{run['id']}/raw")
    replayed = await sync.http.post(f"/api/v1/runs/{run['id']}/replay")

    assert run["status"] == "failed"
    assert raw.json()["pages"][0]["text"].startswith('{"data": [{"id": "m00"')
    assert (replayed.status_code, replayed.json()["code"]) == (409, "not_replayable")
    assert "not valid JSON" in replayed.json()["detail"]


async def test_what_is_not_kept_is_said_so_and_a_service_reads_none_of_it(sync: RunningSync) -> None:
    failed = await sync.listing_of(a_supplier())
    _, run = await an_applied_run(sync)
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}

    for method, path in (("GET", "raw"), ("POST", "replay")):
        gone = await sync.http.request(method, f"/api/v1/runs/{failed['id']}/{path}")
        nowhere = await sync.http.request(method, f"/api/v1/runs/{new_id()}/{path}")
        refused = await sync.http.request(method, f"/api/v1/runs/{run['id']}/{path}", headers=headers)
        assert (gone.status_code, gone.json()["code"]) == (404, "raw_listing_not_kept")
        assert (nowhere.status_code, refused.status_code) == (404, 403)


async def test_the_last_few_of_each_supplier_are_kept(open_database: OpenDatabase) -> None:
    busy, quiet = new_id(), new_id()
    runs = [a_run(busy) for _ in range(5)] + [a_run(quiet)]
    async with open_database() as database:
        await request(database, *runs)
        for number, run in enumerate(runs):
            async with database.transaction() as session:
                at = await session.scalar(sa.select(sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 0, number)))
                assert at is not None
                await save_raw(session, run, b"x", at)

        await forget_old(database, outbox, raw_kept=2)

        async with database.reading() as session:
            kept = set((await session.scalars(sa.select(raw_listings.c.run_id))).all())
        assert kept == {runs[3].id, runs[4].id, runs[5].id}


async def test_nothing_is_kept_where_nothing_shall_be(
    databases: Databases, public_directory: Path, tmp_path: Path
) -> None:
    async with neighbours(databases, public_directory, tmp_path) as around:
        around.settings["sync_raw_kept"] = 0
        async with running_sync(around) as sync:
            _, run = await an_applied_run(sync)
            answer = await sync.http.get(f"/api/v1/runs/{run['id']}/raw")

    assert answer.json()["code"] == "raw_listing_not_kept"


@pytest.mark.parametrize("longest", [10_000, 100])
def test_answers_are_kept_whole_or_not_at_all(longest: int) -> None:
    answers = [Answer("application/json", b'{"a": 1}'), Answer("text/csv", bytes(range(256)) * 2)]

    packed = pack(answers, longest)

    assert (packed and unpack(packed)) == (answers if longest == 10_000 else None)
    assert pack([], longest) is None
