"""What routers tell of credentials: one of them has it left alone for a while, only two over a while have it dead."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from builders import a_credential, a_model, a_source, a_supplier, shown
from catalog.test_credentials import CREDENTIALS, a_served_supplier, ahead, reason_of, state_of, usage
from catalogs import Told
from modelbus.catalog.actions.refusals import (
    LONGEST_OUT,
    forget_refusals,
    hear_cooling,
    hear_rejection,
    note_acceptance,
)
from modelbus.catalog.domain.refusals import DEAD_AFTER, KEPT_FOR, Refusal, is_dead
from modelbus.catalog.store.refusals import list_refusals
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.chassis.observing import Tell, teller
from modelbus.contracts.bus import HEALTH, USAGE
from modelbus.contracts.catalog import CredentialChanged, ModelUnavailable, SyncRequested
from modelbus.contracts.credentials import CredentialCooled, CredentialRejected, CredentialReport
from modelbus.contracts.usage import UsageRecorded
from running import ADMIN_TOKEN, eventually
from servers import FreshDatabase
from testing_bus import LocalBus

NOW = datetime.now(UTC)
LONG_AGO = NOW - DEAD_AFTER - timedelta(minutes=1)
SAID = Refusal(new_id(), "r1", 1, 401, NOW - DEAD_AFTER, NOW)


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield catalog
    await catalog.close()


def report(credential: dict[str, Any], status: int = 401, **fields: Any) -> Any:
    at = datetime.now(UTC)
    usual = {
        "credential_id": UUID(credential["id"]),
        "supplier_id": UUID(credential["supplier_id"]),
        "generation": 1,
        "status": status,
        "at": at,
        "until": at + timedelta(minutes=5),
        "observer": "r1",
    }
    return (CredentialCooled if status == 429 else CredentialRejected)(**(usual | fields))


async def hear(opened: Database, *reports: Any) -> None:
    for each in reports:
        async with opened.transaction() as session:
            await (hear_cooling if isinstance(each, CredentialCooled) else hear_rejection)(session, each)


async def test_a_credential_that_one_router_had_refused_rests_and_says_why_and_since_when(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    supplier, model = await a_served_supplier(http)
    made = await a_credential(http, supplier["id"])
    heard = report(made, 403)

    await hear(opened, heard, heard, report(made, 403, observer="r2"))

    found = await shown(http, f"{CREDENTIALS}/{made['id']}")
    assert (found["state"], found["state_reason"]) == ("cooling", "answered 403")
    assert datetime.fromisoformat(found["state_until"]) == heard.until
    assert heard.at <= datetime.fromisoformat(found["state_since"]) <= datetime.now(UTC)
    assert [(each.record.state, each.record.state_until) for each in await told(CredentialChanged)] == [
        ("ok", None),
        ("cooling", heard.until),
    ]
    assert await reason_of(http, model) is None


@pytest.mark.parametrize("status", [401, 429])
async def test_no_router_keeps_a_credential_out_for_longer_than_a_while(
    http: httpx.AsyncClient, opened: Database, status: int
) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])

    await hear(opened, report(made, status, until=ahead(days=300)))

    state, _, until = await state_of(http, made)
    assert state == "cooling"
    assert datetime.fromisoformat(until or "") <= datetime.now(UTC) + LONGEST_OUT


async def test_what_passes_at_once_or_is_said_of_another_secret_or_too_late_changes_nothing(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])

    await hear(
        opened,
        report(made, 429, until=ahead(seconds=5)),
        report(made, 429, until=NOW - timedelta(minutes=1)),
        report(made, 401, generation=2),
        report(made, 401, at=NOW - KEPT_FOR - timedelta(minutes=1), until=ahead(minutes=5)),
        report({**made, "id": str(new_id())}),
        report({**made, "id": str(new_id())}, 429),
    )

    assert await state_of(http, made) == ("ok", None, None)
    assert len(await told(CredentialChanged)) == 1


async def test_a_key_that_two_routers_had_refused_for_a_while_is_dead_and_its_sources_go(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    supplier, model = await a_served_supplier(http)
    made = await a_credential(http, supplier["id"])

    await hear(opened, report(made, at=LONG_AGO), report(made), report(made, observer="r2"))

    found = await shown(http, f"{CREDENTIALS}/{made['id']}")
    assert (found["state"], found["state_reason"], found["state_until"]) == ("dead", "answered 401", None)
    assert [each.reason for each in await told(ModelUnavailable)] == ["no_credential"]
    assert await reason_of(http, model) == "no_credential"


async def test_a_dead_key_lives_once_it_is_disabled_and_enabled(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    supplier, model = await a_served_supplier(http)
    made = await a_credential(http, supplier["id"])
    await hear(opened, report(made, at=LONG_AGO), report(made, observer="r2"))
    listings = len(await told(SyncRequested))

    for action in ("disable", "enable"):
        await http.post(f"{CREDENTIALS}/{made['id']}/{action}")
    await hear(opened, report(made))

    assert await state_of(http, made) == ("ok", None, None)
    assert await reason_of(http, model) is None
    assert len(await told(SyncRequested)) == listings + 1


@pytest.mark.parametrize(
    ("others", "dead"),
    [
        ({}, True),
        ({"observer": "r1"}, False),
        ({"status": 403}, False),
        ({"generation": 2}, False),
        ({"last_at": NOW - KEPT_FOR - timedelta(seconds=1)}, False),
        ({"disproved_at": NOW}, False),
    ],
)
def test_dead_is_what_two_were_refused_with_401(*, others: dict[str, Any], dead: bool) -> None:
    other = replace(SAID, **({"observer": "r2"} | others))
    said = {each.observer: each for each in (SAID, other)}

    assert is_dead(said.values(), 1, NOW) is dead


def test_a_hiccup_that_all_routers_see_at_once_kills_no_key() -> None:
    said = [replace(SAID, observer=each, first_at=NOW - timedelta(minutes=1)) for each in ("r1", "r2", "r3")]

    assert not is_dead(said, 1, NOW)


def test_an_observer_that_comes_back_after_long_or_with_another_matter_begins_anew() -> None:
    again = replace(SAID, first_at=NOW + timedelta(minutes=5), last_at=NOW + timedelta(minutes=5))
    late = replace(SAID, first_at=NOW + 2 * KEPT_FOR, last_at=NOW + 2 * KEPT_FOR)

    assert SAID.joined(again) == replace(SAID, last_at=again.last_at)
    assert again.joined(SAID) == replace(SAID, last_at=again.last_at)
    assert SAID.joined(late) == late
    assert SAID.joined(replace(again, status=403)).first_at == again.first_at
    assert SAID.joined(replace(again, generation=2)).first_at == again.first_at
    assert replace(SAID, disproved_at=NOW).joined(again) == again


async def test_a_credential_that_serves_after_all_is_ok_again(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    supplier = await a_supplier(http)
    made, other = await a_credential(http, supplier["id"]), await a_credential(http, supplier["id"])
    before, after = NOW - timedelta(minutes=1), datetime.now(UTC) + timedelta(seconds=1)
    await hear(opened, report(made), report(other, 429))

    async def accept(at: datetime) -> tuple[str, str]:
        async with opened.transaction() as session:
            await note_acceptance(
                session, [usage((made["id"], str(new_id()), at)), usage((other["id"], str(new_id()), at))]
            )
        return (await state_of(http, made))[0], (await state_of(http, other))[0]

    assert await accept(before) == ("cooling", "cooling")
    # Whom a supplier told to slow down is served at times, too: that says nothing.
    assert await accept(after) == ("ok", "cooling")
    last = (await told(CredentialChanged))[-1].record
    assert (str(last.id), last.state, last.state_since) == (made["id"], "ok", None)


async def test_who_was_wrong_about_a_credential_is_not_believed_again_so_soon_and_others_are(
    http: httpx.AsyncClient, opened: Database
) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    await hear(opened, report(made))
    async with opened.transaction() as session:
        await note_acceptance(session, [usage((made["id"], str(new_id()), datetime.now(UTC) + timedelta(seconds=1)))])

    await hear(opened, report(made), report(made, 403))
    alone = await state_of(http, made)
    await http.post(f"{CREDENTIALS}/{made['id']}/rotate", json={"secret": "sk-another-0123456789"})
    await hear(opened, report(made, generation=2))
    of_another_secret = await state_of(http, made)

    assert alone == ("ok", None, None)
    assert of_another_secret[0] == "cooling"
    assert Refusal(new_id(), "r1", 1, 401, NOW, NOW, NOW).is_disbelieved(1, NOW + KEPT_FOR)
    assert not Refusal(new_id(), "r1", 1, 401, NOW, NOW, NOW).is_disbelieved(1, NOW + 2 * KEPT_FOR)


async def test_a_router_whose_clock_is_ahead_has_nobody_disbelieved_for_as_long(
    http: httpx.AsyncClient, opened: Database
) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    await hear(opened, report(made))

    async with opened.transaction() as session:
        await note_acceptance(session, [usage((made["id"], str(new_id()), datetime.now(UTC) + timedelta(days=1)))])
        [said] = await list_refusals(session, UUID(made["id"]))

    assert said.disproved_at is not None
    assert said.disproved_at <= datetime.now(UTC)


async def test_another_router_is_believed_where_one_was_wrong(http: httpx.AsyncClient, opened: Database) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    await hear(opened, report(made))
    async with opened.transaction() as session:
        await note_acceptance(session, [usage((made["id"], str(new_id()), datetime.now(UTC) + timedelta(seconds=1)))])

    await hear(opened, report(made, observer="r2"))

    assert (await state_of(http, made))[0] == "cooling"


async def test_what_was_said_long_ago_is_forgotten(http: httpx.AsyncClient, opened: Database) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    almost = datetime.now(UTC) - KEPT_FOR + timedelta(milliseconds=300)
    await hear(opened, report(made, at=almost), report(made, observer="r2"))

    async def left() -> list[str]:
        async with opened.transaction() as session:
            await forget_refusals(session)
            return [each.observer for each in await list_refusals(session, UUID(made["id"]))]

    await eventually(lambda: _is(left, ["r2"]))


async def _is(ask: Any, wanted: list[str]) -> bool:
    return bool(await ask() == wanted)


async def test_what_routers_tell_arrives_over_the_bus(catalog_with_bus: str, bus: LocalBus) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    told_by = Bus(bus.url, service="router")
    told_by.start()
    tell: Tell[CredentialReport] = teller(told_by, HEALTH, service="router")
    async with httpx.AsyncClient(base_url=catalog_with_bus, headers=headers, timeout=20) as http:
        supplier, model = await a_supplier(http), await a_model(http)
        await a_source(http, model["id"], supplier["id"])
        rejected, cooled = await a_credential(http, supplier["id"]), await a_credential(http, supplier["id"])

        await tell(report(rejected))
        await tell(report(cooled, 429))

        async def states() -> bool:
            found = [await state_of(http, each) for each in (rejected, cooled)]
            return [each[:2] for each in found] == [("cooling", "answered 401"), ("cooling", "answered 429")]

        await eventually(states)
        tell_usage: Tell[UsageRecorded] = teller(told_by, USAGE, service="router")
        await tell_usage(usage((rejected["id"], str(new_id()), datetime.now(UTC) + timedelta(seconds=1))))

        async def is_ok() -> bool:
            return await state_of(http, rejected) == ("ok", None, None)

        await eventually(is_ok)
    await told_by.stop()
