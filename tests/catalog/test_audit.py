"""The audit log: a line for every administrative write and for what was refused; it only grows."""

import asyncio
import csv
import io
import json
import os
import sys
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from builders import a_credential, a_model, a_supplier, shown
from modelbus.catalog.api.audit import FIELDS, SHOWN_CHANGES
from running import MASTER_KEY
from servers import FreshDatabase

AUDIT = "/api/v1/audit"


async def lines(http: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await shown(http, f"{AUDIT}?{query}"))["items"]
    return found


async def test_each_write_leaves_one_line_that_says_who_did_what(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    path = f"/api/v1/suppliers/{supplier['id']}"
    answers = [
        await http.patch(path, json={"removal_after": 9}),
        await http.post(f"{path}/sync"),
        await http.post(f"{path}/disable"),
        await http.delete(path),
    ]

    found = await lines(http)

    assert [line["action"] for line in found] == [
        "DELETE /api/v1/suppliers/{supplier_id}",
        "POST /api/v1/suppliers/{supplier_id}/disable",
        "POST /api/v1/suppliers/{supplier_id}/sync",
        "PATCH /api/v1/suppliers/{supplier_id}",
        "POST /api/v1/suppliers",
    ]
    assert [line["changes"] for line in found] == [1, 1, 0, 1, 1]
    assert [line["path"] for line in found[:2]] == [path, f"{path}/disable"]
    assert {(line["caller_name"], line["caller_role"], line["outcome"]) for line in found} == {
        ("administrator", "admin", "done")
    }
    assert found[0]["request_id"] == answers[-1].headers["x-request-id"]
    assert found == sorted(found, key=lambda line: line["at"], reverse=True)


async def test_what_is_read_or_refused_leaves_no_line(http: httpx.AsyncClient) -> None:
    await http.get("/api/v1/suppliers")
    await http.post("/api/v1/suppliers", json={"name": "x"})
    await http.delete(f"/api/v1/suppliers/{uuid4()}")

    assert await lines(http) == []


async def test_a_line_is_shown_with_what_changed(http: httpx.AsyncClient) -> None:
    model = await a_model(http, name="vendor/one")
    await http.patch(f"/api/v1/models/{model['id']}", json={"context_window": 5})
    line = (await lines(http))[0]

    entry = await shown(http, f"{AUDIT}/{line['id']}")

    assert {name: entry[name] for name in line} == line
    [version] = entry["versions"]
    assert (version["kind"], version["thing_id"], version["version"]) == ("model", model["id"], 2)
    assert {"field": "context_window", "before": None, "after": 5} in version["differences"]
    assert (await http.get(f"{AUDIT}/{uuid4()}")).status_code == 404


async def test_the_log_is_narrowed_by_each_filter(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    model = await a_model(http)
    await http.post(f"/api/v1/suppliers/{supplier['id']}/sync")
    asked, made_model, made_supplier = await lines(http)
    middle = made_model["at"].replace("+00:00", "Z")

    async def ids(**query: str) -> list[str]:
        answer = await http.get(AUDIT, params=query)
        assert answer.status_code == 200, answer.text
        return [line["id"] for line in answer.json()["items"]]

    assert await ids(action="/sync") == [asked["id"]]
    assert await ids(action="post /api/v1/models") == [made_model["id"]]
    assert await ids(path=f"/api/v1/suppliers/{supplier['id']}") == [asked["id"]]
    assert await ids(kind="model") == [made_model["id"]]
    assert await ids(thing_id=model["id"]) == [made_model["id"]]
    assert await ids(kind="supplier", thing_id=model["id"]) == []
    assert await ids(request_id=asked["request_id"]) == [asked["id"]]
    assert await ids(caller="administrator", outcome="done", limit="200") == [
        asked["id"],
        made_model["id"],
        made_supplier["id"],
    ]
    assert await ids(caller="somebody") == []
    assert await ids(outcome="refused") == []
    assert await ids(since=middle) == [asked["id"], made_model["id"]]
    assert await ids(until=middle) == [made_supplier["id"]]
    # What a pattern would mean is meant as it is written.
    assert await ids(action="%") == []
    assert await ids(path="_") == []


async def test_pages_follow_one_another_while_lines_are_added(http: httpx.AsyncClient) -> None:
    for _ in range(5):
        await a_model(http)
    before = [line["id"] for line in await lines(http)]

    seen: list[str] = []
    page = await shown(http, f"{AUDIT}?limit=2")
    while True:
        seen += [line["id"] for line in page["items"]]
        await a_model(http)
        if page["next_cursor"] is None:
            break
        page = await shown(http, f"{AUDIT}?limit=2&cursor={page['next_cursor']}")

    assert seen == before


async def test_lines_can_be_neither_changed_nor_deleted(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    await a_supplier(http)
    for role in (database.url("catalog"), database.superuser()):
        connection = await asyncpg.connect(role)
        for statement in (
            "UPDATE catalog.audit SET caller_name = 'x'",
            "DELETE FROM catalog.audit",
            "TRUNCATE catalog.audit CASCADE",
        ):
            with pytest.raises(asyncpg.RaiseError, match="never changed nor deleted"):
                await connection.execute(statement)
        await connection.close()

    assert len(await lines(http)) == 1


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"])
async def test_no_cell_of_the_csv_is_a_formula(http: httpx.AsyncClient, database: FreshDatabase, name: str) -> None:
    await a_supplier(http)
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(
        "INSERT INTO catalog.audit SELECT gen_random_uuid(), at, caller_id, $1, caller_role, action, outcome,"
        " request_id, changes, detail FROM catalog.audit",
        name,
    )
    await connection.close()

    answer = await http.get(f"{AUDIT}/export")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    told = list(csv.reader(io.StringIO(answer.text)))
    assert tuple(told[0]) == FIELDS
    assert [row[3] for row in told[1:]].count(f"'{name}") == 1
    assert not [cell for row in told for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


async def test_the_whole_log_is_exported_in_both_forms(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    await a_supplier(http)
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(
        "INSERT INTO catalog.audit SELECT gen_random_uuid(), at, caller_id, caller_name, caller_role, action, outcome,"
        " request_id, changes, detail FROM catalog.audit CROSS JOIN generate_series(1, 2500)"
    )
    await connection.close()

    as_lines = (await http.get(f"{AUDIT}/export", params={"format": "jsonl"})).text.splitlines()
    as_csv = list(csv.DictReader(io.StringIO((await http.get(f"{AUDIT}/export")).text)))
    narrowed = (await http.get(f"{AUDIT}/export", params={"format": "jsonl", "caller": "nobody"})).text

    assert len({json.loads(line)["id"] for line in as_lines}) == len(as_lines) == 2501
    assert [json.loads(line)["id"] for line in as_lines] == [row["id"] for row in as_csv]
    assert json.loads(as_csv[0]["detail"]) == json.loads(as_lines[0])["detail"]
    assert narrowed == ""
    assert (await http.get(f"{AUDIT}/export", params={"format": "xls"})).status_code == 422


async def test_a_large_change_shows_its_first_versions(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    await a_supplier(http)
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(
        "INSERT INTO catalog.versions SELECT kind, gen_random_uuid(), number, name, audit_id, at, caller_id,"
        " caller_name, caller_role, document, changed FROM catalog.versions CROSS JOIN generate_series(1, 300)"
    )
    await connection.close()
    [line] = await lines(http)

    entry = await shown(http, f"{AUDIT}/{line['id']}")
    page = await shown(http, f"/api/v1/versions?audit_id={line['id']}&limit=200")

    assert len(entry["versions"]) == SHOWN_CHANGES
    assert page["next_cursor"] is not None


async def test_commands_leave_a_line_too(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    supplier = await a_supplier(http)
    await a_credential(http, supplier["id"])
    environment = {
        **os.environ,
        "MODELBUS_DATABASE_URL": database.url("catalog"),
        "MODELBUS_MASTER_KEYS": f"qLcGyMnNsNDoiQc9ocBAxc_7W5GkHzBGbGPZd3vRzyI=,{MASTER_KEY}",
    }
    for step in (["reseal"], ["create-admin", "ada"]):
        command = [sys.executable, "-m", "modelbus.catalog", *step]
        done = await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        await done.communicate(b"correct horse battery staple\n")
        assert done.returncode == 0

    made, sealed = (await lines(http))[:2]

    assert (made["action"], made["changes"], made["caller_role"]) == ("command create-admin", 1, "system")
    assert sealed["action"] == "command reseal"
    assert sealed["detail"]["credentials.sealed"] == 1


async def test_discarding_a_parked_message_leaves_a_line(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(
        "INSERT INTO catalog.parked (id, consumer, subject, headers, body, reason, tries, parked_at)"
        " VALUES ($1, 'c', 's', '{}', '', 'r', 1, now())",
        parked := uuid4(),
    )
    await connection.close()

    answer = await http.delete(f"/api/v1/parked/{parked}")

    assert answer.status_code == 204
    [line] = await lines(http)
    assert (line["action"], line["caller_name"]) == ("DELETE /api/v1/parked/{parked_id}", "administrator")
    assert line["path"] == f"/api/v1/parked/{parked}"
