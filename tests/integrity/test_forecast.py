"""What retires when, what breaks by it, and that it is told in good time and once."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx

from integrity.teller import Teller, a_chain, a_model, a_source, a_supplier
from modelbus.chassis.database import Database, plain_dsn
from modelbus.integrity.actions.index import judge_new_day
from modelbus.integrity.jobs import Audit
from modelbus.integrity.store.index import save_judged_on
from servers import FreshDatabase

type Serve = Callable[..., Awaitable[httpx.AsyncClient]]

PATH = "/api/v1/forecast"


def in_days(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


async def forecast(http: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get(PATH, params=query)
    assert answer.status_code == httpx.codes.OK, answer.text
    days: list[dict[str, Any]] = answer.json()["days"]
    return days


def told(day: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["kind"], each["place"]) for each in day["findings"]}


async def test_each_day_tells_what_goes_and_what_breaks_with_all_that_went_before(serve: Serve) -> None:
    supplier = a_supplier("acme")
    soon, later, gone = a_model(retires_at=in_days(3)), a_model(), a_model(gone="retired", retires_at=in_days(-9))
    last = a_source(later.id, supplier_id=supplier.id, retires_at=in_days(40))
    sources = [a_source(soon.id), a_source(soon.id), last]
    chain = a_chain(soon, later, name="prod")
    http = await serve(supplier, soon, later, gone, *sources, chain)

    near, far = await forecast(http), await forecast(http, days=60)

    assert [each["day"] for each in near] == [in_days(3).date().isoformat()]
    assert near == far[:1]
    (retiring,) = near[0]["retirements"]
    assert (retiring["kind"], retiring["id"], retiring["model_name"]) == ("model", str(soon.id), soon.name)
    assert told(near[0]) == {("degraded", "step 1"), ("single_point", "all of it")}
    (alert,) = (await http.get("/api/v1/findings", params={"kind": "retiring_soon"})).json()["items"]
    assert retiring["alerts"] == [alert["id"]]
    (source,) = far[1]["retirements"]
    assert (source["kind"], source["model_name"], source["supplier_name"]) == ("source", later.name, "acme")
    assert told(far[1]) == {("dead", "step 1"), ("dead", "step 2")}


async def test_a_retirement_is_told_once_when_it_comes_near(
    audit: Audit, catalog: Teller, integrity_database: Database, database: FreshDatabase
) -> None:
    model = a_model(retires_at=in_days(20))
    for record in (model, a_source(model.id), a_source(model.id), a_chain(model)):
        catalog.commit(record)
    await audit.look()

    for _ in range(2):
        async with integrity_database.transaction() as session:
            await save_judged_on(session, in_days(-1).date())
            await judge_new_day(session)

    connection = await asyncpg.connect(plain_dsn(database.superuser()))
    bodies = await connection.fetch("SELECT body FROM integrity.outbox WHERE type = 'reference.stale'")
    await connection.close()
    assert sum('"retiring_soon"' in each["body"] for each in bodies) == 1


async def test_a_forecast_of_no_days_or_too_many_is_refused(serve: Serve) -> None:
    http = await serve()

    assert await forecast(http) == []
    for days in ("0", "731", "soon"):
        answer = await http.get(PATH, params={"days": days})
        assert (answer.status_code, answer.json()["code"]) == (httpx.codes.UNPROCESSABLE_ENTITY, "invalid_input")
