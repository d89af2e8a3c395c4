"""The feed: followers end equal to the truth, whatever happens to the bus."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from builders import a_credential, a_model, a_served_model, a_source, a_supplier, an_event
from catalog.people import a_session, run_sql, shows
from catalogs import settings_for
from modelbus.catalog.actions.feed import KINDS
from modelbus.catalog.app import create_app
from modelbus.chassis.feed import Applied, Follower
from modelbus.chassis.ids import new_id
from modelbus.chassis.loops import stop
from modelbus.chassis.messaging import Bus
from modelbus.contracts.catalog import CatalogHeartbeat, ModelChanged
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.event import Event
from modelbus.contracts.feed import Snapshot
from running import ADMIN_TOKEN, SERVICE_TOKEN, eventually, free_port, serving
from servers import FreshDatabase
from spans import a_cause, causes_of, kept_spans
from testing_bus import LocalBus


@asynccontextmanager
async def following(catalog_url: str, bus_url: str, keep: Path | None = None) -> AsyncIterator[Follower]:
    connection = Bus(bus_url, service="follower")
    connection.start()
    token = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    seen: list[Applied] = []
    async with httpx.AsyncClient(base_url=catalog_url, headers=token, timeout=5) as catalog:
        follower = Follower(catalog, connection, kinds=KINDS, on_change=seen.append, keep=keep)
        if keep is not None:
            follower.load_kept()
        task = asyncio.create_task(follower.run())
        try:
            yield follower
        finally:
            await stop([task])
            await connection.stop()


def administrator(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=20)


def a_message(client: Client, event: Event, **fields: Any) -> Msg:
    """Make a message as it is heard; the fields are those of its envelope."""
    told = Envelope(new_id(), event.type, "/test", datetime.now(UTC), b"", **fields)
    return Msg(client, event.type, data=event.model_dump_json().encode(), headers=told.headers())


async def some_changes(http: httpx.AsyncClient) -> None:
    """Touch every kind of record: made, changed, disabled, deleted."""
    supplier = await a_supplier(http, requires_credential=True)
    credential = await a_credential(http, supplier["id"])
    models = [await a_model(http) for _ in range(4)]
    sources = [await a_source(http, model["id"], supplier["id"]) for model in models]
    ids = [model["id"] for model in models]
    chain = {"name": f"chain-{ids[0]}", "steps": [{"model_id": each} for each in ids[:3]]}
    made = [
        await http.post("/api/v1/fallback-chains", json=chain),
        await http.post("/api/v1/scopes", json={"name": f"scope-{ids[0]}", "model_ids": ids[:2]}),
        await http.post("/api/v1/access-keys", json={"name": f"key-{ids[0]}", "model_ids": ids[:1]}),
        await http.post(
            "/api/v1/complexity-routing",
            json={"name": f"routing-{ids[0]}", "levels": [{"level": "hard", "model_ids": ids[1:3]}]},
        ),
    ]
    assert [answer.status_code for answer in made] == [201] * 4
    await http.post(f"/api/v1/sources/{sources[0]['id']}/disable", params={"force": True})
    await http.patch(f"/api/v1/models/{ids[1]}", json={"display_name": "Another", "aliases": [f"alias-{ids[1]}"]})
    await http.delete(f"/api/v1/models/{ids[3]}", params={"force": True})
    await http.delete(f"/api/v1/sources/{sources[2]['id']}", params={"force": True})
    await http.post(f"/api/v1/suppliers/{supplier['id']}/disable", params={"force": True})
    await http.patch(f"/api/v1/credentials/{credential['id']}", json={"priority": 7})


async def truth(http: httpx.AsyncClient) -> Snapshot:
    answer = await http.get("/api/v1/snapshot")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Snapshot)


def records_of(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    return {
        kind: {record["id"]: record for record in (json.loads(bytes(raw)) for raw in raws)}
        for kind, raws in snapshot.records.items()
    }


def records_held(follower: Follower) -> dict[str, dict[str, Any]]:
    return {
        kind: {str(key): json.loads(body) for key, body in records.items()}
        for kind, records in follower.records.items()
    }


async def assert_equal_to_truth(follower: Follower, http: httpx.AsyncClient, within_s: float = 10) -> None:
    async def is_equal() -> bool:
        snapshot = await truth(http)
        return (follower.epoch, follower.revision) == (snapshot.epoch, snapshot.revision)

    await eventually(is_equal, within_s=within_s)
    snapshot = await truth(http)
    assert records_held(follower) == records_of(snapshot)
    assert follower.digests() == snapshot.digests
    assert follower.alarms == 0


async def test_a_follower_hears_changes_within_moments(catalog_with_bus: str, bus: LocalBus) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        await some_changes(http)
        await assert_equal_to_truth(follower, http)
        model = await a_model(http)
        await eventually(lambda: model["id"] in records_held(follower)["model"], within_s=2.5)
        assert not follower.is_stale


async def test_what_a_lost_stream_is_told_again_of_an_older_epoch_makes_no_follower_ask(
    catalog_with_bus: str, bus: LocalBus
) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        await a_model(http)
        await assert_equal_to_truth(follower, http)
        older, place = uuid4(), follower.revision
        client = await bus.client()

        def hear(event: Event, revision: int) -> bool:
            follower._heard(a_message(client, event, revision=revision, epoch=older))
            asks, follower._must_ask = follower._must_ask, False
            return asks

        hear(an_event(), place)
        assert not hear(an_event(), place)
        # A truth that went back says so by its heartbeat, and one that went on by what it tells.
        assert hear(CatalogHeartbeat(epoch=older, revision=place), place)
        assert hear(an_event(), place + 1)
        await client.close()


async def test_changes_that_are_applied_together_are_told_in_the_trace_of_each(
    catalog_with_bus: str, bus: LocalBus
) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        await a_model(http)
        await assert_equal_to_truth(follower, http)
        client, place, causes = await bus.client(), follower.revision, [a_cause(), a_cause()]

        def hear(revision: int, cause: str) -> None:
            event, epoch = ModelChanged.gone(uuid4()), follower.epoch
            follower._heard(a_message(client, event, revision=revision, epoch=epoch, trace_parent=cause))

        with kept_spans() as kept:
            hear(place + 2, causes[1])
            hear(place + 3, causes[0])
            hear(place + 1, causes[0])
            await eventually(lambda: follower.revision == place + 3)

        assert causes_of(kept, "apply changes") == sorted(causes)
        await client.close()


async def test_the_stream_replayed_from_empty_gives_the_snapshot(
    catalog_with_bus: str, bus: LocalBus, database: FreshDatabase
) -> None:
    async with administrator(catalog_with_bus) as http:
        for _ in range(3):
            await some_changes(http)
        snapshot = await truth(http)
        client = await bus.client()
        context = client.jetstream()
        await eventually(lambda: _last_sequence(context, snapshot.revision))
        replayed: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
        for sequence in range(1, snapshot.revision + 1):
            message = await context.get_msg("CATALOG", seq=sequence)
            assert (message.headers or {})["ce-revision"] == str(sequence)
            kind, _, verb = (message.subject or "").rpartition(".")
            if verb == "changed":
                body = json.loads(message.data or b"")
                replayed[kind].pop(body["id"], None)
                if not body["deleted"]:
                    replayed[kind][body["id"]] = body["record"]
        await client.close()

    assert replayed == records_of(snapshot)
    connection = await asyncpg.connect(database.superuser())
    assert await connection.fetchval("SELECT count(*) FROM catalog.outbox") == snapshot.revision
    await connection.close()


async def _last_sequence(context: Any, wanted: int) -> bool:
    return bool((await context.stream_info("CATALOG")).state.last_seq >= wanted)


async def test_without_a_bus_a_follower_polls(catalog_url: str, http: httpx.AsyncClient) -> None:
    async with following(catalog_url, "nats://127.0.0.1:9") as follower:
        await eventually(lambda: follower.is_loaded)
        await a_model(http)
        await assert_equal_to_truth(follower, http, within_s=8)


async def test_a_killed_bus_delays_a_follower_by_seconds_and_loses_nothing(
    catalog_with_bus: str, bus: LocalBus
) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        await some_changes(http)
        await assert_equal_to_truth(follower, http)
        bus.server.kill()
        await some_changes(http)
        await assert_equal_to_truth(follower, http, within_s=8)
        bus.server.restart()
        await some_changes(http)
        await assert_equal_to_truth(follower, http)


async def test_a_wiped_bus_leaves_a_follower_right(catalog_with_bus: str, bus: LocalBus) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        await some_changes(http)
        await assert_equal_to_truth(follower, http)
        bus.wipe()
        await some_changes(http)
        await assert_equal_to_truth(follower, http)
        await bus.lay_topology()
        await a_model(http)
        await assert_equal_to_truth(follower, http)


async def test_a_follower_that_starts_with_everything_down_has_the_last_known_good(
    catalog_with_bus: str, bus: LocalBus, tmp_path: Path
) -> None:
    keep = tmp_path / "catalog.snapshot"
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url, keep) as follower:
        await a_served_model(http)
        await assert_equal_to_truth(follower, http)
        held = records_held(follower)

    async with following(f"http://127.0.0.1:{free_port()}", "nats://127.0.0.1:9", keep) as offline:
        assert records_held(offline) == held
        assert (offline.is_loaded, offline.is_stale) == (True, True)


async def test_a_damaged_last_known_good_gives_way_to_the_one_before(
    catalog_with_bus: str, bus: LocalBus, tmp_path: Path
) -> None:
    keep = tmp_path / "catalog.snapshot"
    async with administrator(catalog_with_bus) as http:
        for _ in range(2):
            async with following(catalog_with_bus, bus.url, keep) as follower:
                await a_model(http)
                await assert_equal_to_truth(follower, http)
    keep.write_bytes(keep.read_bytes()[:-20])

    async with following("http://127.0.0.1:9", "nats://127.0.0.1:9", keep) as offline:
        assert len(offline.records["model"]) == 1


async def test_an_audit_finds_a_record_that_differs_at_equal_revision(catalog_with_bus: str, bus: LocalBus) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        await a_model(http)
        await assert_equal_to_truth(follower, http)
        follower._replica._digests["model"] += 1

        await follower._audit()

        assert follower.alarms == 1
        assert follower.digests() == (await truth(http)).digests


async def test_an_audit_takes_over_what_another_release_tells_in_another_shape_and_raises_no_alarm(
    catalog_with_bus: str, bus: LocalBus
) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        model = UUID((await a_model(http))["id"])
        await assert_equal_to_truth(follower, http)
        fewer = json.loads(follower.records["model"][model])
        del fewer["description"]
        follower._replica.put("model", model, json.dumps(fewer).encode())

        await follower._audit()

        assert follower.alarms == 0
        assert follower.digests() == (await truth(http)).digests


async def test_an_audit_takes_no_change_that_came_meanwhile_for_a_difference(
    catalog_with_bus: str, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        model = UUID((await a_model(http))["id"])
        await assert_equal_to_truth(follower, http)
        follower._replica.put("model", model, follower.records["model"][model].replace(b":", b": ", 1))
        ask = follower._catalog.snapshot

        async def ask_later() -> Snapshot:
            await a_model(http)
            return await ask()

        monkeypatch.setattr(follower._catalog, "snapshot", ask_later)

        await follower._audit()

        assert follower.alarms == 0
        await assert_equal_to_truth(follower, http)


async def test_changes_are_listed_until_they_are_trimmed(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    for _ in range(5):
        await a_model(http)
    head = (await http.get("/api/v1/head")).json()

    some = (await http.get("/api/v1/changes", params={"after": 3})).json()
    assert [change["revision"] for change in some["changes"]] == [4, 5]
    assert (await http.get("/api/v1/changes", params={"after": 5})).json()["changes"] == []
    connection = await asyncpg.connect(database.superuser())
    await connection.execute("DELETE FROM catalog.outbox WHERE revision <= 2")
    await connection.close()
    for after, expected in ((2, 200), (1, 410), (0, 410), (6, 410)):
        params: dict[str, Any] = {"after": after, "epoch": head["epoch"]}
        answer = await http.get("/api/v1/changes", params=params)
        assert answer.status_code == expected, after
    other_epoch: dict[str, Any] = {"after": 5, "epoch": "00000000-0000-0000-0000-000000000000"}
    assert (await http.get("/api/v1/changes", params=other_epoch)).json()["code"] == "history_trimmed"


async def test_a_snapshot_is_revalidated_by_its_tag_and_compressed(http: httpx.AsyncClient) -> None:
    await a_model(http)
    first = await http.get("/api/v1/snapshot")

    assert first.headers["content-encoding"] == "gzip"
    again = await http.get("/api/v1/snapshot", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await a_model(http)
    later = await http.get("/api/v1/snapshot", headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200
    plain = await http.get("/api/v1/snapshot", headers={"Accept-Encoding": "identity"})
    assert plain.json() == later.json()


async def test_a_snapshot_of_some_kinds_holds_those_alone(http: httpx.AsyncClient) -> None:
    await a_model(http)

    some = (await http.get("/api/v1/snapshot", params={"kinds": "model,supplier"})).json()

    assert sorted(some["records"]) == ["model", "supplier"]
    unknown = await http.get("/api/v1/snapshot", params={"kinds": "model,banana"})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "kinds")


async def test_a_services_token_opens_the_feed_and_nothing_else(catalog_url: str) -> None:
    token = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    async with httpx.AsyncClient(base_url=catalog_url, headers=token) as service:
        for path in ("/api/v1/snapshot", "/api/v1/head", "/api/v1/changes?after=0"):
            assert (await service.get(path)).status_code == 200
        refused = await service.get("/api/v1/models")

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_who_reads_the_feed_is_told_no_secret_even_sealed_or_hashed(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    await some_changes(http)
    found = await run_sql(
        database, "SELECT sealed FROM catalog.credentials UNION SELECT key_hash FROM catalog.access_keys"
    )
    secrets = [row[0] for row in found]
    reader = shows(await a_session(http, role="editor"))

    theirs = [await http.get(path, headers=reader) for path in ("/api/v1/snapshot", "/api/v1/changes?after=0")]
    ours = [await http.get(path) for path in ("/api/v1/snapshot", "/api/v1/changes?after=0")]
    refused = await http.get("/api/v1/snapshot?kinds=model,credential", headers=reader)

    assert len(secrets) == 2
    for answer, whole in zip(theirs, ours, strict=True):
        assert not any(secret in answer.text for secret in secrets)
        assert all(secret in whole.text for secret in secrets)
    assert theirs[0].json()["records"].keys() == KINDS.keys() - {"credential", "access_key"}
    kept = [(each["revision"], each["type"]) for each in theirs[1].json()["changes"]]
    assert kept == [(each["revision"], each["type"]) for each in ours[1].json()["changes"]]
    silent = {each["type"] for each in theirs[1].json()["changes"] if each["data"] is None}
    assert silent == {"credential.changed", "access_key.changed"}
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize("order", ["bus first", "catalog first"])
async def test_the_order_of_start_does_not_matter(database: FreshDatabase, bus: LocalBus, order: str) -> None:
    if order == "catalog first":
        bus.server.kill()
    async with (
        serving(create_app(settings_for(database, bus.url))) as url,
        administrator(url) as http,
        following(url, bus.url) as follower,
    ):
        await a_model(http)
        if order == "catalog first":
            bus.server.restart()
        await assert_equal_to_truth(follower, http)
        model = await a_model(http)
        await eventually(lambda: model["id"] in records_held(follower)["model"])
