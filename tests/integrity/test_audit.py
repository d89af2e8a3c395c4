"""The audit: whatever the stream did not bring comes from the snapshot."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from integrity.listening import Ear, ready, running_integrity
from integrity.teller import Teller, a_chain, a_model, a_source
from modelbus.chassis.database import Database
from modelbus.contracts.catalog import CatalogReset
from modelbus.contracts.references import ReferenceStale
from modelbus.integrity.actions.index import judge_new_day
from modelbus.integrity.actions.learning import News, learn
from modelbus.integrity.domain import rules
from modelbus.integrity.domain.errors import FeedUnusableError
from modelbus.integrity.domain.findings import STALE_KINDS
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.jobs import Audit
from modelbus.integrity.store.findings import list_open
from modelbus.integrity.store.index import save_judged_on
from running import eventually
from servers import FreshDatabase
from testing_bus import LocalBus


async def open_places(database: Database) -> list[tuple[str, str]]:
    async with database.reading() as session:
        found = [each.fault for each in await list_open(session, None)]
        return [(fault.place, fault.reason) for fault in found if fault.kind in STALE_KINDS]


async def test_a_start_takes_the_snapshot_and_finds_what_is_stale(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    gone, stays = a_model(gone="delisted"), a_model()
    for record in (gone, stays, a_source(stays.id), a_chain(stays, gone)):
        catalog.commit(record)
    assert await audit.problem() == "the catalog was never loaded"

    await audit.look()

    assert await open_places(integrity_database) == [("step 2", "delisted")]
    assert (await audit.problem(), audit.alarms) == (None, 0)


async def test_an_index_that_equals_the_catalog_is_left_alone(audit: Audit, catalog: Teller) -> None:
    catalog.commit(a_model())
    await audit.look()

    await audit.look()

    assert catalog.snapshots_served == 1


async def test_what_nobody_told_is_mended_at_the_second_look(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    model = a_model()
    catalog.commit(model)
    catalog.commit(a_chain(model))
    await audit.look()
    catalog.commit(a_model(model.id, gone="disabled"))

    await audit.look()
    assert (await open_places(integrity_database), audit.alarms) == ([], 0)
    await audit.look()

    assert (await open_places(integrity_database), audit.alarms) == ([("step 1", "disabled")], 1)


async def test_a_snapshot_removes_what_it_does_not_hold(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    model = a_model()
    catalog.commit(model)
    catalog.commit(a_chain(model))
    await audit.look()
    catalog.records["model"].clear()
    catalog.epoch = uuid4()
    catalog.revision += 1

    await audit.look()

    assert await open_places(integrity_database) == [("step 1", "deleted")]


async def test_a_snapshot_does_not_undo_what_was_heard_since(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    model = a_model()
    catalog.commit(model)
    catalog.commit(a_chain(model))
    newer = a_model(model.id, gone="disabled")
    async with integrity_database.transaction() as session:
        text = newer.model_dump_json().encode()
        told = Telling(catalog.revision + 1, datetime.now(UTC))
        await learn(session, [News(told, ("model", model.id), newer, text)])
    # The catalog has committed the change, but the snapshot is the one from just before.
    before = catalog.snapshot()
    catalog.commit(newer)
    catalog.snapshot = lambda *_: before  # type: ignore[method-assign]

    await audit.look()

    assert await open_places(integrity_database) == [("step 1", "disabled")]


async def test_a_truth_that_went_back_replaces_what_is_newer(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    returns, goes = a_model(gone="disabled"), a_model()
    for record in (a_chain(returns, goes), returns, goes):
        catalog.commit(record)
    await audit.look()
    catalog.records["model"][returns.id] = a_model(returns.id).model_dump_json().encode()
    catalog.revision = 1

    await audit.look()

    assert await open_places(integrity_database) == []
    async with integrity_database.transaction() as session:
        gone = a_model(goes.id, gone="delisted")
        text = gone.model_dump_json().encode()
        told = Telling(catalog.revision + 1, datetime.now(UTC))
        await learn(session, [News(told, ("model", gone.id), gone, text)])
    assert await open_places(integrity_database) == [("step 2", "delisted")]


async def test_a_snapshot_without_a_kind_is_refused(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    model = a_model()
    catalog.commit(model)
    catalog.commit(a_chain(model))
    await audit.look()
    whole = catalog.snapshot()
    del whole.records["model"]
    catalog.snapshot = lambda *_: whole  # type: ignore[method-assign]
    catalog.epoch = uuid4()

    with pytest.raises(FeedUnusableError, match="no model records"):
        await audit.look()

    assert await open_places(integrity_database) == []


async def test_a_new_day_brings_retirements_nearer_without_any_event(
    audit: Audit, catalog: Teller, integrity_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = a_model(retires_at=datetime.now(UTC) + timedelta(days=32))
    catalog.commit(model)
    catalog.commit(a_chain(model))
    await audit.look()
    # The day that makes it soon is as good as a horizon that does.
    monkeypatch.setattr(rules, "HORIZON", timedelta(days=33))

    async def kinds_after(judged_on: date) -> list[str]:
        async with integrity_database.transaction() as session:
            await save_judged_on(session, judged_on)
        async with integrity_database.transaction() as session:
            await judge_new_day(session)
        async with integrity_database.reading() as session:
            return [each.fault.kind for each in await list_open(session, None)]

    today = datetime.now(UTC).date()
    assert await kinds_after(today) == []
    assert await kinds_after(today - timedelta(days=1)) == ["retiring_soon"]


@pytest.mark.usefixtures("http")
async def test_a_reset_asks_for_the_snapshot_at_once(catalog: Teller, ear: Ear) -> None:
    gone = a_model(gone="delisted")
    catalog.commit(gone)
    catalog.commit(a_chain(gone))
    catalog.epoch = uuid4()

    await catalog.tell(CatalogReset(epoch=catalog.epoch))

    assert len(await ear.hears(1)) == 1
    assert catalog.snapshots_served == 2


@pytest.mark.usefixtures("http")
async def test_a_late_event_tells_that_one_snapshot_is_quicker_than_the_queue(catalog: Teller, ear: Ear) -> None:
    models = [a_model(gone="delisted") for _ in range(3)]
    for record in (*models, a_chain(*models)):
        catalog.commit(record)
    late = catalog.commit(a_model())
    told_long_ago = replace(late.envelope, time=datetime.now(UTC) - timedelta(minutes=1))

    await catalog.publish(replace(late, envelope=told_long_ago))

    heard = await ear.hears(3)
    assert {each.severity for each in heard if isinstance(each, ReferenceStale)} == {"dead"}


async def test_it_answers_from_its_index_while_the_catalog_is_away(
    database: FreshDatabase, bus: LocalBus, catalog: Teller, catalog_url: str, ear: Ear
) -> None:
    gone = a_model(gone="delisted")
    catalog.commit(gone)
    catalog.commit(a_chain(gone))
    async with running_integrity(database, bus.url, catalog_url) as first:
        await ready(first)

    async with running_integrity(database, bus.url, "http://127.0.0.1:9") as second:
        await ready(second)
        answer = await second.get("/api/v1/stale-references")
        model = a_model(gone="disabled")
        await catalog.tell(model, a_chain(model))
        await ear.hears(2)

    assert [each["place"] for each in answer.json()["items"]] == ["step 1"]


@pytest.mark.usefixtures("nats_client")
async def test_it_is_not_ready_and_judges_nothing_before_the_catalog_was_ever_read(
    database: FreshDatabase, bus: LocalBus, catalog: Teller, catalog_url: str
) -> None:
    catalog.is_away = True
    async with running_integrity(database, bus.url, catalog_url) as http:
        await catalog.tell(a_chain(a_model()))

        async def waits_for_the_catalog_alone() -> bool:
            missing = (await http.get("/health/ready")).json()["missing"]
            return bool(missing == {"index": "the catalog was never loaded"})

        await eventually(waits_for_the_catalog_alone)
        refused = await http.post("/api/v1/validate", json={"config_type": "all"})
        found = await http.get("/api/v1/stale-references")
        catalog.is_away = False
        await ready(http)
        after = await http.get("/api/v1/stale-references")

    assert (refused.status_code, refused.json()["code"]) == (httpx.codes.SERVICE_UNAVAILABLE, "index_not_loaded")
    assert found.json()["items"] == []
    assert [each["reason"] for each in after.json()["items"]] == ["deleted"]
