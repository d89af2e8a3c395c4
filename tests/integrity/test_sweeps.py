"""Sweeps: whatever the index has lost, kept too long or misread is found, mended, and said."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from integrity.teller import Teller, a_chain, a_model, a_scope, a_source
from modelbus.chassis.database import Database, plain_dsn
from modelbus.integrity import jobs
from modelbus.integrity.actions.learning import News, learn
from modelbus.integrity.actions.sweeps import look, mend
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.jobs import Audit
from servers import FreshDatabase

type Serve = Callable[..., Awaitable[httpx.AsyncClient]]

PATH = "/api/v1/sweeps"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "HEARD_WITHIN_S", 0.01)


async def harm(database: FreshDatabase, *statements: tuple[str, Any]) -> None:
    """Change the index behind integrity's back."""
    connection = await asyncpg.connect(plain_dsn(database.superuser()))
    for statement, argument in statements:
        await connection.execute(statement, argument)
    await connection.close()


async def swept(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.post(PATH)
    assert answer.status_code == httpx.codes.CREATED, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_every_kind_of_drift_is_mended_and_told_and_the_findings_follow(
    serve: Serve, catalog: Teller, database: FreshDatabase
) -> None:
    gone, stays, forgotten = a_model(gone="delisted"), a_model(), a_model()
    chain, scope = a_chain(gone, stays), a_scope([stays.id])
    http = await serve(gone, stays, forgotten, a_source(stays.id), a_source(stays.id), chain, scope)
    before = (await http.get("/api/v1/findings")).json()["items"]
    assert [each["kind"] for each in before] == ["degraded"]
    catalog.records["model"].pop(forgotten.id)
    references = 'DELETE FROM integrity."references" WHERE holder_id = $1'
    await harm(
        database,
        (references, scope.id),
        ("DELETE FROM integrity.records WHERE id = $1", scope.id),
        (references, chain.id),
        ("UPDATE integrity.records SET digest = 1, record = NULL WHERE id = $1", stays.id),
    )

    found, again = await swept(http), await swept(http)

    assert found["drift"] == {
        "differing": {"model": 1},
        "misread": {"chain": 1},
        "missing": {"scope": 1},
        "surplus": {"model": 1},
    }
    assert (found["asked_by"], found["checked"], found["revision"]) == ("administrator", 6, catalog.revision)
    assert (again["drift"], again["opened"], again["closed"]) == ({}, 0, 0)
    assert (await http.get("/api/v1/findings")).json()["items"] == before
    listed = (await http.get(PATH, params={"limit": 1})).json()
    assert listed["items"] == [again]
    assert (await http.get(PATH, params={"cursor": listed["next_cursor"]})).json()["items"] == [found]
    assert (await http.get(f"{PATH}/{found['id']}")).json() == found


async def test_findings_that_a_sweep_opens_and_closes_are_counted(serve: Serve, database: FreshDatabase) -> None:
    gone, stays = a_model(gone="delisted"), a_model()
    http = await serve(gone, stays, a_chain(gone, stays), a_scope([gone.id]))
    await harm(
        database,
        ("UPDATE integrity.findings SET state = 'resolved', closed_at = '2026-01-01' WHERE place = $1", "step 1"),
        ("UPDATE integrity.findings SET place_key = $1 WHERE place = 'position 1'", str(uuid4())),
    )

    made = await swept(http)

    assert (made["drift"], made["opened"], made["closed"]) == ({}, 2, 1)


async def test_what_is_heard_between_the_looks_was_late_and_is_no_drift(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    late, lost = a_model(), a_model()
    catalog.commit(late)
    catalog.commit(lost)
    await audit.look()
    catalog.commit(a_model(lost.id, gone="disabled"))
    news = a_model(late.id, gone="disabled")
    told = catalog.commit(news).envelope
    async with integrity_database.reading() as session:
        suspects = await look(session, catalog.snapshot())
    async with integrity_database.transaction() as session:
        text = news.model_dump_json().encode()
        await learn(session, [News(Telling(told.revision or 0, told.time), ("model", late.id), news, text)])
    catalog.commit(a_model())

    async with integrity_database.transaction() as session:
        made = await mend(session, catalog.snapshot(), suspects, "somebody", datetime.now(UTC))

    assert suspects.keys() == {("model", late.id), ("model", lost.id)}
    assert made.drift == {"differing": {"model": 1}}


async def test_each_night_is_swept_once_by_whichever_replica_looks_first(
    audit: Audit, catalog: Teller, integrity_database: Database, database: FreshDatabase
) -> None:
    catalog.commit(a_model())
    await audit.look()
    other = Audit(integrity_database, audit._catalog)
    await other.look()
    await audit.sweep_at_night()
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    await harm(database, ("UPDATE integrity.index_head SET swept_on = $1", yesterday))

    await audit.sweep_at_night()
    await other.sweep_at_night()
    # As one does that looked at the same time and had to wait.
    assert await other.sweep(None) is None

    connection = await asyncpg.connect(plain_dsn(database.superuser()))
    nights = await connection.fetch("SELECT asked_by, checked FROM integrity.sweeps")
    await connection.close()
    assert [tuple(each) for each in nights] == [(None, 1)]


async def test_a_sweep_without_the_catalog_or_of_another_id_is_refused_and_keeps_nothing(
    serve: Serve, catalog: Teller
) -> None:
    http = await serve()
    catalog.is_away = True

    away, unknown = await http.post(PATH), await http.get(f"{PATH}/{uuid4()}")
    wrong = await http.get(PATH, params={"limit": 0})

    assert (away.status_code, away.json()["code"]) == (httpx.codes.SERVICE_UNAVAILABLE, "temporarily_unavailable")
    assert (unknown.status_code, unknown.json()["code"]) == (httpx.codes.NOT_FOUND, "sweep_not_found")
    assert wrong.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert (await http.get(PATH)).json()["items"] == []
