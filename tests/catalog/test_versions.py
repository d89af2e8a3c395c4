"""Every change is a version: who, when, and what differs."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import sqlalchemy as sa

from builders import a_credential, a_model, a_source, a_supplier, shown
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.actions.versions import write
from modelbus.catalog.api.history_paths import PATHS
from modelbus.catalog.store.tables import outbox, versions
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.sync import ListedModel, Listing
from servers import FreshDatabase


@pytest.fixture
async def writing(database: FreshDatabase) -> AsyncIterator[Database]:
    """The catalog's database as its hearing has it."""
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
    yield opened
    await opened.close()


async def versions_at(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await shown(http, f"{path}/versions"))["items"]
    return found


def what_differs(version: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {each["field"]: (each["before"], each["after"]) for each in version["differences"]}


async def apply(writing: Database, supplier: str, number: int, *listed: ListedModel) -> None:
    listing = Listing(run_id=new_id(), supplier_id=UUID(supplier), digest=str(number), models=list(listed), left_out=[])
    async with writing.transaction(Caller.system("sync")) as session:
        await apply_listing(session, listing, number)


async def test_each_change_says_who_when_and_what_differs(http: httpx.AsyncClient) -> None:
    begun = datetime.now(UTC)
    supplier = await a_supplier(http, name="first")
    path = f"/api/v1/suppliers/{supplier['id']}"
    await http.patch(path, json={"name": "second", "removal_after": 5})
    await http.delete(path)

    gone, changed, made = await versions_at(http, path)

    assert [each["version"] for each in (made, changed, gone)] == [1, 2, 3]
    assert {each["caller_name"] for each in (made, changed, gone)} == {"administrator"}
    assert begun < datetime.fromisoformat(made["at"]) < datetime.fromisoformat(changed["at"]) < datetime.now(UTC)
    assert what_differs(changed) == {"name": ("first", "second"), "removal_after": (supplier["removal_after"], 5)}
    assert what_differs(made)["name"] == (None, "first")
    assert (gone["is_deletion"], what_differs(gone)["name"]) == (True, ("second", None))
    assert [each["is_deletion"] for each in (made, changed)] == [False, False]


async def test_a_version_is_shown_whole_and_two_are_compared(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http, name="first")
    path = f"/api/v1/suppliers/{supplier['id']}"
    for change in ({"removal_after": 3}, {"removal_after": 4, "name": "other"}, {"name": "first"}):
        await http.patch(path, json=change)

    second = await shown(http, f"{path}/versions/2")
    across = await shown(http, f"{path}/versions/compare?from=2&to=4")
    back = await shown(http, f"{path}/versions/compare?from=4&to=2")

    assert (second["document"]["name"], second["document"]["removal_after"]) == ("first", 3)
    assert not {"created_at", "updated_at", "version", "deleted_at"} & second["document"].keys()
    assert what_differs(across) == {"removal_after": (3, 4)}
    assert what_differs(back) == {"removal_after": (4, 3)}
    assert (await http.get(f"{path}/versions/5")).status_code == 404
    assert (await http.get(f"{path}/versions/compare?from=1&to=9")).status_code == 404
    assert (await http.get(f"{path}/versions/compare?from=1")).status_code == 422


async def test_a_change_that_changes_nothing_is_no_version(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    path = f"/api/v1/suppliers/{supplier['id']}"

    answer = await http.patch(path, json={"name": supplier["name"]})

    assert answer.headers["etag"] == '"1"'
    assert len(await versions_at(http, path)) == 1


@pytest.mark.parametrize("kind", sorted(PATHS))
async def test_the_versions_of_nothing_are_not_found(http: httpx.AsyncClient, kind: str) -> None:
    path = f"/api/v1{PATHS[kind]}".replace("{thing:path}", str(uuid4())).replace("{thing}", str(uuid4()))

    for ending in ("versions", "versions/1", "versions/compare?from=1&to=2"):
        answer = await http.get(f"{path}/{ending}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text


async def test_versions_come_page_by_page_without_gap_or_double(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    path = f"/api/v1/suppliers/{supplier['id']}"
    for number in range(2, 8):
        await http.patch(path, json={"removal_after": number + 10})
    await a_supplier(http)

    for url, field in ((f"{path}/versions", "version"), ("/api/v1/versions", "at")):
        seen: list[Any] = []
        cursor: str | None = None
        while True:
            page = await shown(http, f"{url}?limit=3" + (f"&cursor={cursor}" if cursor else ""))
            seen += [(each["thing_id"], each[field]) for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(set(seen)) == len(seen) == (7 if field == "version" else 8)
        assert seen == sorted(seen, key=lambda each: each[1], reverse=True)
    assert (await http.get(f"{path}/versions?cursor=nonsense")).status_code == 422
    assert (await http.get(f"/api/v1/versions?cursor={'WzFd'}")).status_code == 422


async def test_what_changed_is_found_by_kind_thing_name_caller_and_time(http: httpx.AsyncClient) -> None:
    supplier, model = await a_supplier(http, name="wanted"), await a_model(http)
    between = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    await http.patch(f"/api/v1/models/{model['id']}", json={"description": "later"})

    async def ids(query: str) -> list[str]:
        found = await shown(http, f"/api/v1/versions?{query}")
        return [each["thing_id"] for each in found["items"]]

    assert await ids("") == [model["id"], model["id"], supplier["id"]]
    assert await ids("kind=supplier") == [supplier["id"]]
    assert await ids(f"thing_id={model['id']}") == [model["id"]] * 2
    assert await ids("name=wanted") == [supplier["id"]]
    assert await ids(f"since={between}") == [model["id"]]
    assert await ids(f"until={between}") == [model["id"], supplier["id"]]
    assert await ids("caller=administrator") == [model["id"], model["id"], supplier["id"]]
    assert await ids("caller=sync") == []
    assert (await http.get("/api/v1/versions?since=2026-01-01T00:00:00")).status_code == 422


async def test_a_listing_makes_versions_by_sync_and_what_flips_makes_none(
    http: httpx.AsyncClient, writing: Database
) -> None:
    supplier = await a_supplier(http, removal_after=1)
    await apply(writing, supplier["id"], 1, ListedModel(upstream_name="vendor/a", context_window=1000))
    await apply(writing, supplier["id"], 2, ListedModel(upstream_name="vendor/a", context_window=2000))
    model = await shown(http, "/api/v1/models/vendor/a")
    assert model["is_available"] is True

    await apply(writing, supplier["id"], 3, ListedModel(upstream_name="vendor/b"))
    assert (await shown(http, "/api/v1/models/vendor/a"))["is_available"] is False
    await http.post(f"/api/v1/suppliers/{supplier['id']}/disable?force=true")

    made, changed = reversed(await versions_at(http, "/api/v1/models/vendor/a"))
    assert (made["caller_name"], made["caller_role"], made["audit_id"]) == ("sync", "system", None)
    assert what_differs(changed) == {"context_window": (1000, 2000)}
    listed = await shown(http, "/api/v1/versions?kind=source&caller=sync")
    assert sorted(each["version"] for each in listed["items"]) == [1, 1]


async def test_versions_of_a_model_go_by_a_name_with_slashes(http: httpx.AsyncClient) -> None:
    model = await a_model(http, name="vendor/family/large")
    await http.patch("/api/v1/models/vendor/family/large", json={"description": "x"})

    by_name = await versions_at(http, "/api/v1/models/vendor/family/large")

    assert by_name == await versions_at(http, f"/api/v1/models/{model['id']}")
    assert (await shown(http, "/api/v1/models/vendor/family/large/versions/1"))["version"] == 1
    compared = await shown(http, "/api/v1/models/vendor/family/large/versions/compare?from=1&to=2")
    assert what_differs(compared)["description"] == (None, "x")


@pytest.mark.parametrize("name", ["a/versions", "a/rollback", "a/versions/7", "a/versions/compare"])
async def test_no_model_takes_a_name_that_leads_to_its_history(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.post("/api/v1/models", json={"name": name})).status_code == 422


async def test_no_secret_is_in_a_version(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    credential = await a_credential(http, supplier["id"], secret="sk-0123456789abcdef")
    await http.patch(f"/api/v1/credentials/{credential['id']}", json={"secret": "sk-fedcba9876543210"})

    told = (await http.get("/api/v1/versions")).text

    assert "sk-0123" not in told
    assert "sk-fedc" not in told
    assert "sealed" not in told
    assert credential["hint"] in told


async def test_versions_can_be_neither_changed_nor_deleted(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    await a_supplier(http)
    connection = await asyncpg.connect(database.url("catalog"))
    try:
        for statement in ("UPDATE catalog.versions SET name = 'x'", "DELETE FROM catalog.versions"):
            with pytest.raises(asyncpg.RaiseError, match="never changed nor deleted"):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_thousands_of_versions_are_written_by_one_statement_each_some_thousand(
    http: httpx.AsyncClient, writing: Database
) -> None:
    supplier = await a_supplier(http)
    inserted: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO catalog.versions" in statement:
            inserted.append(statement)

    sa.event.listen(writing._engine.sync_engine, "before_cursor_execute", count)
    await apply(writing, supplier["id"], 1, *(ListedModel(upstream_name=f"m{number}") for number in range(3000)))

    async with writing.reading() as session:
        kept = await session.scalar(sa.select(sa.func.count()).select_from(versions).where(versions.c.kind == "model"))
    assert kept == 3000
    assert len(inserted) <= 1


async def test_a_source_made_by_hand_has_versions(http: httpx.AsyncClient) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    source = await a_source(http, model["id"], supplier["id"])
    await http.patch(f"/api/v1/sources/{source['id']}", json={"weight": 7})

    changed, _made = await versions_at(http, f"/api/v1/sources/{source['id']}")

    assert what_differs(changed) == {"weight": (1, 7)}
