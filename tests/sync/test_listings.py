"""From the request to the catalog's answer, and what becomes of a supplier that lies."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CatalogSynced, ListingRefused, SyncRequested
from modelbus.contracts.credentials import CredentialRejected
from modelbus.contracts.event import read_event
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import Listing, ListingFetched, SyncFailed
from modelbus.simulator import Fault, Rule
from modelbus.sync.actions import listings
from modelbus.sync.domain.runs import KEPT_FOR
from running import SERVICE_TOKEN, eventually
from sync.catalog_stand_in import a_credential, a_supplier
from sync.running_sync import RunningSync


async def an_aggregator(sync: RunningSync, **fields: Any) -> SupplierRecord:
    supplier = a_supplier(**{"base_url": sync.simulator.base_url(sync.simulator.openrouter), **fields})
    await sync.catalog.put(supplier)
    return supplier


async def a_direct_supplier(sync: RunningSync, *keys: str) -> SupplierRecord:
    supplier = a_supplier(
        sync.simulator.base_url(sync.simulator.openai), name="direct", flavour="openai", requires_credential=True
    )
    await sync.catalog.put(supplier)
    for priority, key in enumerate(keys):
        await sync.catalog.put(a_credential(supplier, key, priority=priority))
    return supplier


async def read_listing(sync: RunningSync, url: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    async with httpx.AsyncClient(base_url=sync.url, headers=headers) as catalog:
        return await catalog.get(url)


def synced(run: dict[str, Any], **fields: Any) -> CatalogSynced:
    counts = {"added": 190, "changed": 1, "removed": 2, "held": 3, "unchanged": 4, "changes": 400}
    return CatalogSynced(run_id=run["id"], supplier_id=run["supplier_id"], **{**counts, **fields})


async def test_a_requested_listing_reaches_the_catalog_by_claim_check(sync: RunningSync) -> None:
    supplier = await an_aggregator(sync)

    run = await sync.listing_of(supplier)

    [told] = await sync.told_of(ListingFetched, run["id"])
    listing = Listing.model_validate_json((await read_listing(sync, told.listing_url)).content)
    assert (run["status"], run["supplier_name"], run["attempts"]) == ("fetched", "aggregator", 1)
    assert (run["listed_count"], run["left_out_count"], run["left_out"]) == (194, 0, [])
    assert (told.count, len(listing.models), str(listing.run_id)) == (194, 194, run["id"])
    assert [model.upstream_name for model in listing.models] == sorted(model.upstream_name for model in listing.models)
    body = b"".join(model.model_dump_json().encode() + b"\n" for model in listing.models)
    assert told.digest == listing.digest == run["digest"] == hashlib.sha256(body).hexdigest()


async def test_an_equal_listing_has_an_equal_digest_and_another_one_another(sync: RunningSync) -> None:
    supplier = await an_aggregator(sync)

    first = await sync.listing_of(supplier)
    second = await sync.listing_of(supplier)
    sync.simulator.openrouter.serve_recording("2025-04-23")
    third = await sync.listing_of(supplier)

    assert first["digest"] == second["digest"] != third["digest"]
    assert third["listed_count"] == 302


async def test_the_catalog_s_answer_completes_the_run_once(sync: RunningSync) -> None:
    run = await sync.listing_of(await an_aggregator(sync))
    await sync.told_of(ListingFetched, run["id"])

    await sync.catalog.tell(synced({"id": str(new_id()), "supplier_id": run["supplier_id"]}))
    await sync.catalog.tell(synced(run))
    await sync.catalog.tell(synced(run, added=7))
    await sync.catalog.tell(ListingRefused(run_id=run["id"], supplier_id=run["supplier_id"], reason="late"))

    # A run asked for later is answered later, so everything before it was heard.
    await sync.listing_of(await an_aggregator(sync))
    applied = await sync.run(run["id"])
    assert applied["status"] == "applied"
    assert applied["ended_at"] is not None
    assert [applied[name] for name in ("added", "changed", "removed", "held", "unchanged")] == [190, 1, 2, 3, 4]
    assert (await sync.http.get("/api/v1/parked")).json()["items"] == []


async def test_a_refused_listing_says_why_and_may_be_applied_after_all(sync: RunningSync) -> None:
    run = await sync.listing_of(await an_aggregator(sync))

    await sync.catalog.tell(ListingRefused(run_id=run["id"], supplier_id=run["supplier_id"], reason="no\x00pe"))
    refused = await sync.run_in(run["id"], "refused")
    await sync.catalog.tell(synced(run))
    applied = await sync.run_in(run["id"], "applied")

    assert refused["reason"] == "no\\x00pe"
    assert applied["reason"] is None


async def test_a_request_that_is_told_twice_makes_one_run(sync: RunningSync) -> None:
    supplier = await an_aggregator(sync)
    run = await sync.listing_of(supplier)
    await sync.told_of(ListingFetched, run["id"])

    for _ in range(3):
        await sync.catalog.tell(SyncRequested(run_id=run["id"], supplier_id=supplier.id, cause="administrator"))
        await sync.catalog.tell_again(sync.catalog.revision)
    later = await sync.listing_of(supplier)
    await sync.told_of(ListingFetched, later["id"])

    listed = (await sync.http.get("/api/v1/runs", params={"supplier_id": str(supplier.id)})).json()["items"]
    assert [each["id"] for each in listed] == [later["id"], run["id"]]
    assert len(await sync.told_of(ListingFetched, run["id"])) == 1


async def test_left_out_entries_are_shown_with_the_run(sync: RunningSync) -> None:
    sync.simulator.openrouter.serve_models([{"id": "good"}, {"id": "bad\x00"}, {"name": "nameless"}])

    run = await sync.listing_of(await an_aggregator(sync))

    assert (run["listed_count"], run["left_out_count"]) == (1, 2)
    assert run["left_out"] == [
        {"upstream_name": "bad\\x00", "reason": "its id holds control or invisible characters"},
        {"upstream_name": "", "reason": "it has no id"},
    ]


LIES: dict[str, tuple[Fault, str]] = {
    "html": (Fault(html=True), "answered HTML (text/html; charset=utf-8) instead of JSON"),
    "not JSON by type": (Fault(content_type="image/png"), "answered something else (image/png) instead of JSON"),
    "no listing": (Fault(body={"ok": True}), "the answer holds no list of models under 'data'"),
    "empty body": (Fault(body="", content_type="application/json"), "the body is empty"),
    "invalid JSON": (Fault(invalid_json=True), "the body is not valid JSON (JSON is malformed"),
    "truncated JSON": (Fault(truncated_json=True), "the body is not valid JSON (Input data was truncated"),
    "cut connection": (Fault(cut_after_tokens=1), "the connection failed"),
    "reset": (Fault(reset_before_headers=True), "the connection failed"),
    "too large": (Fault(huge_body_bytes=2 * 1024 * 1024), "the body is larger than 1048576 bytes"),
    "gzip bomb": (Fault(gzip_bomb_bytes=64 * 1024 * 1024), "the body is larger than 1048576 bytes"),
    "silence": (Fault(accept_and_hang=True), "no answer within 1 s; gave up after 3 tries"),
    "silence after headers": (Fault(hang_after_headers=True), "no answer within 1 s; gave up after 3 tries"),
    "drip": (Fault(slow_body_bytes_per_second=2000), "no listing within 6 s"),
    "500 for ever": (Fault(status=500), "answered 500 (Internal Server Error); gave up after 3 tries"),
    "429 for ever": (Fault(status=429), "answered 429 (too many requests); gave up after 3 tries"),
    "429 for an hour": (
        Fault(status=429, headers={"Retry-After": "3600"}),
        "answered 429 (too many requests) and asked to wait 3600 s; gave up after 1 try",
    ),
    "404": (Fault(status=404), "answered 404 (Not Found)"),
    "redirect": (
        Fault(redirect_to="http://169.254.169.254/latest"),
        "the host 169.254.169.254 leads to",
    ),
    "nothing": (Fault(status=204), "answered 204 (No Content)"),
    "401": (Fault(status=401), "answered 401 (Unauthorized) to a request without credential"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lying_supplier_s_run_fails_with_the_reason_and_nothing_is_told_to_apply(
    sync: RunningSync, lie: str
) -> None:
    fault, reason = LIES[lie]
    supplier = await an_aggregator(sync)
    sync.simulator.openrouter.misbehave(fault)

    run = await sync.listing_of(supplier)

    [failed] = await sync.told_of(SyncFailed, run["id"])
    assert (run["status"], failed.reason) == ("failed", run["reason"])
    assert run["reason"].startswith(reason)
    assert run["ended_at"] is not None
    assert run["attempts"] >= 1
    assert run["id"] not in {str(each.run_id) for each in await sync.told(ListingFetched)}
    assert (await read_listing(sync, f"/api/v1/runs/{run['id']}/listing")).status_code == 404


async def test_a_supplier_that_is_limited_for_a_moment_is_asked_again_after_it(sync: RunningSync) -> None:
    supplier = await an_aggregator(sync)
    sync.simulator.openrouter.misbehave(Fault(status=429, headers={"Retry-After": "1"}), times=1)

    run = await sync.listing_of(supplier)

    first, second = (exchange.at for exchange in sync.simulator.openrouter.exchanges)
    assert (run["status"], run["attempts"]) == ("fetched", 2)
    assert (second - first).total_seconds() >= 1


@pytest.mark.parametrize("status", [500, 503])
async def test_a_supplier_that_is_down_for_a_moment_is_asked_again(sync: RunningSync, status: int) -> None:
    supplier = await an_aggregator(sync)
    sync.simulator.openrouter.misbehave(Fault(status=status), times=2)

    run = await sync.listing_of(supplier)

    assert (run["status"], run["attempts"]) == ("fetched", 3)


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_the_next_credential_is_tried_where_one_is_refused_or_limited(sync: RunningSync, status: int) -> None:
    supplier = await a_direct_supplier(sync, "sim-openai-key-1", "sim-openai-key-2")
    sync.simulator.openai.behave(Rule(fault=Fault(status=status), key="sim-openai-key-1"))

    run = await sync.listing_of(supplier)

    assert (run["status"], run["attempts"]) == ("fetched", 2)
    assert [exchange.key for exchange in sync.simulator.openai.exchanges] == ["sim-openai-key-1", "sim-openai-key-2"]


async def test_a_refused_credential_is_told_to_routers_and_the_catalog_and_a_limited_one_is_not(
    sync: RunningSync,
) -> None:
    supplier = await a_direct_supplier(sync, "sim-openai-key-1", "sim-openai-key-2")
    refused = a_credential(supplier, "wrong", priority=0, generation=3)
    await sync.catalog.put(refused)
    sync.simulator.openai.behave(Rule(fault=Fault(status=429), key="sim-openai-key-1"))

    run = await sync.listing_of(supplier)

    async def told() -> list[CredentialRejected]:
        stream = await sync.bus.jetstream().stream_info("HEALTH")
        stored = [await sync.bus.jetstream().get_msg("HEALTH", at + 1) for at in range(stream.state.last_seq)]
        reports = [read_event(CredentialRejected, each.data or b"") for each in stored]
        return [report for report in reports if report.supplier_id == supplier.id]

    [report] = await eventually(told)
    assert run["status"] == "fetched"
    assert (report.credential_id, report.supplier_id, report.generation) == (refused.id, supplier.id, 3)
    assert (report.status, report.observer) == (401, "sync")
    assert report.at < report.until


async def test_when_every_credential_is_refused_the_reason_names_them_and_no_secret(sync: RunningSync) -> None:
    supplier = await a_direct_supplier(sync)
    await sync.catalog.put(a_credential(supplier, "wrong-secret-1", name="main", priority=1))
    await sync.catalog.put(a_credential(supplier, "wrong-secrét-2", name="spare", priority=2))

    run = await sync.listing_of(supplier)

    assert run["status"] == "failed"
    assert run["reason"] == (
        "no credential is accepted: credential 'main': answered 401 (Unauthorized); "
        "credential 'spare': it holds characters that can't be sent"
    )


async def test_dead_and_disabled_credentials_are_not_tried_and_cooling_ones_last(sync: RunningSync) -> None:
    supplier = await a_direct_supplier(sync)
    await sync.catalog.put(
        a_credential(supplier, "dead", priority=1, state="dead"),
        a_credential(supplier, "disabled", priority=2, is_active=False),
        a_credential(supplier, "cooling", priority=3, state="cooling"),
        a_credential(supplier, "wrong", priority=4),
    )

    run = await sync.listing_of(supplier)

    assert run["status"] == "failed"
    assert [exchange.key for exchange in sync.simulator.openai.exchanges] == ["wrong", "cooling"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_active": False}, "the supplier is disabled"),
        ({"requires_credential": True}, "the supplier needs a credential and has no active one"),
        ({"flavour": "gopher"}, "no adapter reads listings of the flavour 'gopher'"),
        ({"is_local": False}, "the host 127.0.0.1 leads to the private address 127.0.0.1"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "the base URL can't be asked"),
    ],
)
async def test_a_supplier_that_can_not_be_asked_fails_with_the_reason(
    sync: RunningSync, fields: dict[str, Any], reason: str
) -> None:
    run = await sync.listing_of(await an_aggregator(sync, **fields))

    assert run["status"] == "failed"
    assert run["reason"].startswith(reason)
    assert not sync.simulator.openrouter.exchanges


async def test_a_supplier_that_the_catalog_does_not_have_fails_with_the_reason(sync: RunningSync) -> None:
    run = await sync.listing_of(a_supplier())

    assert (run["status"], run["reason"], run["supplier_name"]) == ("failed", "the catalog has no such supplier", None)


async def test_a_credential_under_another_master_key_is_said_so(sync: RunningSync) -> None:
    supplier = await a_direct_supplier(sync)
    await sync.catalog.put(a_credential(supplier, "x").model_copy(update={"sealed": "gAAAAA"}))

    run = await sync.listing_of(supplier)

    assert run["reason"] == "no credential of the supplier can be opened with the master keys"


async def test_one_supplier_is_asked_once_at_a_time(sync: RunningSync) -> None:
    supplier = await an_aggregator(sync)
    sync.simulator.openrouter.misbehave(Fault(latency_ms=150))
    run_ids = [await sync.catalog.request(supplier) for _ in range(4)]
    running = 0

    async def are_fetched() -> bool:
        nonlocal running
        open_now = [exchange for exchange in sync.simulator.openrouter.exchanges if not exchange.is_finished]
        running = max(running, len(open_now))
        return all([(await sync.run(run_id))["status"] == "fetched" for run_id in run_ids])

    is_done: bool = await eventually(are_fetched)

    assert is_done
    assert running == 1
    assert sync.simulator.openrouter.counts["models"] == 4


async def test_a_poison_message_is_parked_and_delays_nobody(sync: RunningSync) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid4()),
        "ce-type": "sync.requested",
        "ce-source": "/modelbus/catalog",
        "ce-time": "2025-01-01T00:00:00Z",
    }
    await sync.bus.jetstream().publish("sync.requested", b'{"run_id": "\\u0000"}', headers=headers)

    run = await sync.listing_of(await an_aggregator(sync))

    [parked] = (await sync.http.get("/api/v1/parked")).json()["items"]
    assert run["status"] == "fetched"
    assert "does not parse" in parked["reason"]
    assert (await sync.http.delete(f"/api/v1/parked/{parked['id']}")).status_code == 204


async def test_a_fault_of_ours_ends_the_run_and_stops_nobody(
    sync: RunningSync, monkeypatch: pytest.MonkeyPatch
) -> None:
    supplier = await an_aggregator(sync)

    def mistake(*_: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(listings, "normalise", mistake)
    run = await sync.listing_of(supplier)
    monkeypatch.undo()
    again = await sync.listing_of(supplier)

    assert (run["status"], run["reason"]) == ("failed", "a fault of ours: KeyError")
    assert again["status"] == "fetched"


async def test_a_request_older_than_what_is_remembered_makes_no_run(sync: RunningSync) -> None:
    supplier, run_id = await an_aggregator(sync), uuid4()
    headers = {
        "ce-specversion": "1.0",
        "ce-id": str(uuid4()),
        "ce-type": "sync.requested",
        "ce-source": "/modelbus/catalog",
        "ce-time": (datetime.now(UTC) - KEPT_FOR - timedelta(days=1)).isoformat(),
    }
    asked = SyncRequested(run_id=run_id, supplier_id=supplier.id, cause="schedule")

    await sync.bus.jetstream().publish("sync.requested", asked.model_dump_json().encode(), headers=headers)
    await sync.listing_of(supplier)

    assert (await sync.http.get(f"/api/v1/runs/{run_id}")).status_code == 404
    assert (await sync.http.get("/api/v1/parked")).json()["items"] == []
