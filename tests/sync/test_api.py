"""Runs over HTTP: listed, shown, started; and nothing wrong gets in."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from modelbus.chassis.ids import new_id
from modelbus.simulator import Fault
from running import SERVICE_TOKEN, eventually
from servers import Databases
from sync.catalog_stand_in import a_supplier
from sync.running_sync import ENDED, RunningSync, neighbours, running_sync


async def known(sync: RunningSync, supplier_id: UUID) -> None:
    """Wait until sync knows the supplier."""

    async def ask() -> bool:
        return (await sync.http.post("/api/v1/runs", json={"supplier_id": str(supplier_id)})).is_success

    is_known: bool = await eventually(ask)
    assert is_known


async def page(sync: RunningSync, **params: Any) -> dict[str, Any]:
    answer = await sync.http.get("/api/v1/runs", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_runs_are_listed_newest_first_in_pages(sync: RunningSync) -> None:
    supplier_id = new_id()
    run_ids = [str((await sync.listing_of(a_supplier(id=supplier_id)))["id"]) for _ in range(5)]

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        found = await page(sync, supplier_id=supplier_id, limit=2, **cursor)
        seen += [run["id"] for run in found["items"]]
        if found["next_cursor"] is None:
            break
        cursor = {"cursor": found["next_cursor"]}

    assert seen == run_ids[::-1]


async def test_runs_are_listed_by_status(sync: RunningSync) -> None:
    run = await sync.listing_of(a_supplier())

    failed = await page(sync, status="failed", supplier_id=run["supplier_id"])
    applied = await page(sync, status="applied", supplier_id=run["supplier_id"])

    assert [each["id"] for each in failed["items"]] == [run["id"]]
    assert applied["items"] == []


async def test_an_administrator_starts_a_run_of_one_supplier(sync: RunningSync) -> None:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter))
    await sync.catalog.put(supplier)
    await known(sync, supplier.id)

    answer = await sync.http.post("/api/v1/runs", json={"supplier_id": str(supplier.id)})

    assert answer.status_code == 202
    [run_id] = answer.json()["run_ids"]
    run = await sync.run_in(run_id, *ENDED)
    assert (run["status"], run["cause"], run["supplier_name"]) == ("fetched", "administrator", "aggregator")


async def test_an_administrator_starts_runs_of_every_active_supplier(sync: RunningSync) -> None:
    active, disabled, keyless = a_supplier(), a_supplier(is_active=False), a_supplier(requires_credential=True)
    await sync.catalog.put(active, disabled, keyless)
    await known(sync, keyless.id)

    answer = await sync.http.post("/api/v1/runs", json={})

    runs = [await sync.run_in(run_id, *ENDED) for run_id in answer.json()["run_ids"]]
    reasons = {run["supplier_id"]: run["reason"] for run in runs}
    assert str(disabled.id) not in reasons
    assert reasons[str(active.id)].startswith("the connection failed")
    assert reasons[str(keyless.id)] == "the supplier needs a credential and has no active one"


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"supplier_id": "7"}, 422, "invalid_input", "supplier_id"),
        ({"supplier": "x"}, 422, "invalid_input", "supplier"),
        ([], 422, "invalid_input", "body"),
        ({"supplier_id": str(UUID(int=7))}, 422, "dangling_reference", "supplier_id"),
        ({"supplier_id": "\x00"}, 422, "invalid_input", "supplier_id"),
    ],
)
async def test_a_wrong_request_is_refused_with_the_field_named(
    sync: RunningSync, body: Any, status: int, code: str, field: str
) -> None:
    before = (await page(sync))["items"]

    answer = await sync.http.post("/api/v1/runs", json=body)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["errors"][0]["field"]) == (status, code, field)
    assert (await page(sync))["items"] == before


async def test_malformed_and_huge_bodies_are_refused(sync: RunningSync) -> None:
    malformed = await sync.http.post("/api/v1/runs", content=b"{", headers={"Content-Type": "application/json"})
    huge = await sync.http.post("/api/v1/runs", json={"supplier_id": "x" * 2_000_000})

    assert (malformed.status_code, malformed.json()["code"]) == (400, "malformed_json")
    assert huge.status_code == 413


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/runs?limit=0", 422),
        ("/api/v1/runs?limit=201", 422),
        ("/api/v1/runs?cursor=x", 422),
        ("/api/v1/runs?status=unheard", 422),
        ("/api/v1/runs/x", 422),
        (f"/api/v1/runs/{UUID(int=7)}", 404),
        (f"/api/v1/runs/{UUID(int=7)}/listing", 404),
        ("/api/v1/walks", 404),
    ],
)
async def test_what_is_not_there_is_a_problem_document(sync: RunningSync, path: str, status: int) -> None:
    answer = await sync.http.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_query_field_that_does_not_exist_is_refused_by_name(sync: RunningSync) -> None:
    answer = await sync.http.get("/api/v1/runs", params={"supplier": "x"})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.supplier")


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        (None, "GET", "/api/v1/runs", 401),
        ("wrong", "GET", "/api/v1/runs", 401),
        (None, "GET", f"/api/v1/runs/{UUID(int=7)}/listing", 401),
        (SERVICE_TOKEN, "GET", "/api/v1/runs", 403),
        (SERVICE_TOKEN, "POST", "/api/v1/runs", 403),
        (SERVICE_TOKEN, "GET", f"/api/v1/runs/{UUID(int=7)}", 403),
        (SERVICE_TOKEN, "GET", "/api/v1/parked", 403),
        (SERVICE_TOKEN, "GET", f"/api/v1/runs/{UUID(int=7)}/listing", 404),
        (None, "GET", "/health/live", 200),
    ],
)
async def test_a_token_opens_what_it_is_for(
    sync: RunningSync, token: str | None, method: str, path: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    async with httpx.AsyncClient(base_url=sync.url, headers=headers) as caller:
        answer = await caller.request(method, path)

    assert answer.status_code == status


async def test_nothing_is_started_before_the_catalog_was_ever_read(
    databases: Databases, public_directory: Path, tmp_path: Path
) -> None:
    async with neighbours(databases, public_directory, tmp_path) as around:
        around.settings["catalog_url"] = "http://127.0.0.1:9"
        async with running_sync(around) as alone:
            answer = await alone.http.post("/api/v1/runs", json={})
            ready = await alone.http.get("/health/ready")

    assert (answer.status_code, answer.json()["code"]) == (503, "catalog_not_loaded")
    assert ready.json()["missing"]["catalog"] == "the catalog was never loaded"


async def test_a_replica_that_knows_no_supplier_leaves_the_runs_to_those_that_do(
    databases: Databases, public_directory: Path, tmp_path: Path
) -> None:
    async with neighbours(databases, public_directory, tmp_path / "one") as around, running_sync(around) as knowing:
        suppliers = [a_supplier(around.simulator.base_url(around.simulator.openrouter)) for _ in range(12)]
        await around.catalog.put(*suppliers)
        await known(knowing, suppliers[-1].id)
        around.simulator.openrouter.misbehave(Fault(latency_ms=400))
        ignorance = {"catalog_url": "http://127.0.0.1:9", "state_dir": str(tmp_path / "other")}
        async with running_sync(replace(around, settings=around.settings | ignorance)):
            asked = (await knowing.http.post("/api/v1/runs", json={})).json()["run_ids"]
            runs = [await knowing.run_in(run_id, *ENDED) for run_id in asked]

    assert [(run["status"], run["reason"]) for run in runs] == [("fetched", None)] * 12


async def test_sync_is_ready_when_its_neighbours_are(sync: RunningSync) -> None:
    async def look() -> dict[str, Any]:
        answer = await sync.http.get("/health/ready")
        assert answer.status_code == 200, answer.text
        ready: dict[str, Any] = answer.json()
        return ready

    ready: dict[str, Any] = await eventually(look)

    assert ready == {"status": "ready", "missing": {}}


async def test_the_catalog_may_ask_which_flavours_can_be_read(sync: RunningSync) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}

    answer = await sync.http.get("/api/v1/flavours", headers=headers)

    assert answer.status_code == 200, answer.text
    assert {"openai", "openrouter", "heroku", "file"} <= set(answer.json()["items"])
