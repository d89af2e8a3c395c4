"""Suppliers are looked at for nothing, judged over several looks, and what is seen is told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.chassis.observing import Tell, teller
from modelbus.contracts.bus import USAGE
from modelbus.contracts.health import SourceHealthChanged
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.usage import AttemptRecord, RequestRecord, Tokens, UsageRecorded
from modelbus.simulator import Fault
from modelbus.sync.actions import probes
from modelbus.sync.actions.probes import Rhythm, Turn
from modelbus.sync.actions.probing import Prober
from modelbus.sync.domain.probes import Health, Rule, Seen, Watch, Way, judge
from modelbus.sync.store import probes as stored
from running import eventually
from servers import Databases
from sync.catalog_stand_in import a_credential, a_supplier
from sync.running_sync import OpenDatabase, RunningSync, neighbours, running_sync

RULE = Rule(window=5, failures=3, successes=2)
NOW = datetime.now(UTC)
RHYTHM = Rhythm(timedelta(seconds=60), timedelta(seconds=15), RULE)
GOOD, BAD = Seen(Way.LISTING, is_ok=True), Seen(Way.LISTING, is_ok=False, reason="no answer")


@pytest.fixture(scope="module")
async def module_prober(
    databases: Databases, public_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningSync]:
    """Sync that looks at a new supplier by itself once, and then when it is asked."""
    async with neighbours(databases, public_directory, tmp_path_factory.mktemp("state")) as around:
        around.settings.update({"probe_interval_s": 3600, "probe_retry_s": 3600, "probe_timeout_s": 1})
        async with running_sync(around) as running:
            yield running


@pytest.fixture
def sync(module_prober: RunningSync) -> RunningSync:
    module_prober.simulator.reset()
    return module_prober


async def watched(sync: RunningSync, *suppliers: SupplierRecord) -> None:
    """Wait until each has been looked at once, as new ones are."""
    await sync.catalog.put(*suppliers)

    async def looked() -> bool:
        return all([(await shown(sync, each))["looks"] for each in suppliers])

    await eventually(looked)


def at_openrouter(sync: RunningSync, **fields: Any) -> SupplierRecord:
    return a_supplier(**{"base_url": sync.simulator.base_url(sync.simulator.openrouter), **fields})


def at_openai(sync: RunningSync, **fields: Any) -> SupplierRecord:
    return a_supplier(sync.simulator.base_url(sync.simulator.openai), **{"flavour": "openai", **fields})


async def shown(sync: RunningSync, supplier: SupplierRecord) -> dict[str, Any]:
    answer = await sync.http.get("/api/v1/probes")
    found: dict[str, Any] = {each["supplier_id"]: each for each in answer.json()["items"]}[str(supplier.id)]
    return found


async def look(sync: RunningSync, supplier: SupplierRecord) -> dict[str, Any]:
    answer = await sync.http.post("/api/v1/probes", json={"supplier_id": str(supplier.id)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def told_at_last(sync: RunningSync, supplier: SupplierRecord, health: str) -> SourceHealthChanged:
    """Wait until this is what was told last of the supplier, and read it."""
    context = sync.bus.jetstream()

    async def read() -> SourceHealthChanged:
        last = (await context.stream_info("HEALTH")).state.last_seq
        bodies = [(await context.get_msg("HEALTH", each)).data or b"" for each in range(1, last + 1)]
        events = [SourceHealthChanged.model_validate_json(body) for body in bodies]
        found = [event for event in events if event.supplier_id == supplier.id]
        assert found
        assert found[-1].health == health
        return found[-1]

    read_at_last: SourceHealthChanged = await eventually(read)
    return read_at_last


@pytest.mark.parametrize(
    ("looks", "verdicts"),
    [
        ("+", "h"),
        ("-", "d"),
        ("+-+-", "hddd"),
        ("+-++", "hddh"),
        ("---", "ddD"),
        ("---+", "ddDD"),
        ("---++", "ddDDh"),
        ("---+-+-", "ddDDDDD"),
        ("++-+-+-", "hhddddD"),
        ("-----++", "ddDDDDh"),
    ],
)
def test_a_verdict_takes_several_looks_and_so_does_a_pardon(looks: str, verdicts: str) -> None:
    words = {"h": Health.HEALTHY, "d": Health.DEGRADED, "D": Health.DOWN}
    health = Health.UNKNOWN
    seen: list[bool] = []

    for place, mark in enumerate(looks):
        seen = [*seen, mark == "+"][-RULE.window :]
        health = judge(health, seen, RULE)
        assert health == words[verdicts[place]], place


async def test_a_silent_supplier_is_down_after_three_looks_and_back_after_two_good_ones(sync: RunningSync) -> None:
    supplier, witness = at_openrouter(sync), at_openai(sync)
    await watched(sync, supplier, witness)
    await told_at_last(sync, supplier, "healthy")
    sync.simulator.openrouter.misbehave(Fault(status=503))

    first, second, _, third = [await look(sync, each) for each in (supplier, supplier, witness, supplier)]
    told = await told_at_last(sync, supplier, "down")
    sync.simulator.reset()
    after_one, after_two = await look(sync, supplier), await look(sync, supplier)

    assert [each["health"] for each in (first, second, third)] == ["degraded", "degraded", "down"]
    assert (third["reason"], after_two["reason"]) == ("answered 503", None)
    assert (told.observer, told.source_id, told.reason) == ("sync", None, "answered 503")
    assert told.since == datetime.fromisoformat(third["since"])
    assert (after_one["health"], after_two["health"]) == ("down", "healthy")
    await told_at_last(sync, supplier, "healthy")


async def test_while_nobody_answers_it_is_rather_we_who_are_cut_off(sync: RunningSync) -> None:
    supplier, witness = at_openrouter(sync), at_openai(sync)
    await watched(sync, supplier, witness)
    for provider in (sync.simulator.openrouter, sync.simulator.openai):
        provider.misbehave(Fault(reset_before_headers=True))

    alone = [await look(sync, each) for _ in range(3) for each in (supplier, witness)]
    sync.simulator.openai.behave()
    await look(sync, witness)
    witnessed = await look(sync, supplier)

    assert {each["health"] for each in alone} == {"degraded"}
    assert witnessed["health"] == "down"


async def test_a_refusal_is_an_answer(sync: RunningSync) -> None:
    supplier = at_openrouter(sync)
    await watched(sync, supplier)

    for status in (401, 404, 405, 429):
        sync.simulator.openrouter.misbehave(Fault(status=status))
        seen = await look(sync, supplier)

        assert (seen["health"], seen["looks"][-1]["reason"]) == ("healthy", f"answered {status}")


async def test_a_look_says_what_is_in_the_way(sync: RunningSync) -> None:
    supplier = at_openrouter(sync)
    await watched(sync, supplier)

    for fault, reason in (
        (Fault(status=500), "answered 500"),
        (Fault(reset_before_headers=True), "the connection failed"),
        (Fault(accept_and_hang=True), "no answer within 1 s"),
    ):
        sync.simulator.openrouter.misbehave(fault)
        seen = (await look(sync, supplier))["looks"][-1]

        assert not seen["is_ok"]
        assert reason in seen["reason"]


async def test_no_look_goes_to_an_address_that_the_supplier_may_not_have(sync: RunningSync) -> None:
    supplier = at_openrouter(sync, is_local=False)

    await watched(sync, supplier)
    [seen] = (await shown(sync, supplier))["looks"]

    assert "leads to" in seen["reason"]
    assert not sync.simulator.openrouter.exchanges


async def test_a_look_costs_nothing(sync: RunningSync) -> None:
    simulator = sync.simulator
    listed, unlisted = at_openrouter(sync), at_openai(sync, flavour="file")
    spoken = a_supplier(simulator.base_url(simulator.anthropic), flavour="anthropic", requires_credential=True)
    await sync.catalog.put(spoken, a_credential(spoken, "sim-anthropic-key-1"))

    await watched(sync, listed, unlisted, spoken)

    asked = {
        provider.name: [(each.method, each.kind, each.key) for each in provider.exchanges]
        for provider in (simulator.openrouter, simulator.openai, simulator.anthropic)
    }
    assert [(await shown(sync, each))["looks"][-1]["way"] for each in (listed, unlisted, spoken)] == [
        "listing",
        "connect",
        "listing",
    ]
    assert asked == {
        "openrouter": [("GET", "models", None)],
        "openai": [("HEAD", "unknown", None)],
        "anthropic": [("GET", "models", "sim-anthropic-key-1")],
    }


async def test_a_supplier_that_moves_is_unknown_until_it_is_looked_at_there(sync: RunningSync) -> None:
    supplier = at_openrouter(sync)
    await watched(sync, supplier)
    await told_at_last(sync, supplier, "healthy")
    moved = supplier.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})

    await sync.catalog.put(moved)

    async def looked_there() -> dict[str, Any]:
        seen = await shown(sync, moved)
        assert [each["is_ok"] for each in seen["looks"]] == [False]
        return seen

    assert (await eventually(looked_there))["health"] == "degraded"


async def test_a_disabled_supplier_is_not_looked_at(sync: RunningSync) -> None:
    supplier = at_openrouter(sync)
    await watched(sync, supplier)

    await sync.catalog.put(supplier.model_copy(update={"is_active": False}))

    async def refused() -> bool:
        answer = await sync.http.post("/api/v1/probes", json={"supplier_id": str(supplier.id)})
        return answer.status_code == 409 and answer.json()["code"] == "not_probed"

    await eventually(refused)


async def test_traffic_is_heard_from_the_bus(sync: RunningSync) -> None:
    supplier = at_openrouter(sync)
    await watched(sync, supplier)
    bus = Bus(sync.bus.connected_url.geturl(), service="router")  # type: ignore[union-attr]
    bus.start()

    tell: Tell[UsageRecorded] = teller(bus, USAGE, service="router")
    await tell(usage(supplier.id, "failed", None, NOW - timedelta(minutes=1)))

    async def heard() -> bool:
        seen = await shown(sync, supplier)
        return seen["traffic_failed_at"] is not None and seen["traffic_ok_at"] is None

    await eventually(heard)
    await bus.stop()


def usage(supplier_id: UUID, outcome: str, status: int | None, at: datetime) -> UsageRecorded:
    attempt = AttemptRecord(
        id=new_id(),
        number=1,
        model_id=new_id(),
        source_id=new_id(),
        supplier_id=supplier_id,
        credential_id=None,
        started_at=at,
        latency_ms=0,
        first_token_ms=None,
        status=status,
        outcome=outcome,
        error=None,
        tokens=Tokens(),
    )
    request = RequestRecord(
        id=new_id(),
        access_key_id=None,
        asked_for="m",
        is_stream=False,
        started_at=at,
        latency_ms=0,
        status=200,
        outcome=outcome,
        attempts=[attempt],
        catalog_revision=1,
    )
    return UsageRecorded(router_id="r1", requests=[request])


def named(*suppliers: SupplierRecord) -> dict[UUID, SupplierRecord]:
    return {each.id: each for each in suppliers}


async def test_whom_callers_were_served_by_is_not_probed(open_database: OpenDatabase) -> None:
    served, failing, quiet = a_supplier(), a_supplier(), a_supplier()
    async with open_database() as database:
        async with database.transaction() as session:
            await probes.watch_suppliers(session, named(served, failing, quiet))
            now = await stored.read_clock(session)
            told = [
                usage(served.id, "ok", 200, now),
                usage(served.id, "failed", 400, now + timedelta(seconds=1)),
                usage(failing.id, "ok", 200, now),
                usage(failing.id, "cut", 200, now + timedelta(seconds=1)),
            ]
            for batch in (told, [*reversed(told)]):
                await probes.note_traffic(session, batch, RHYTHM)
        async with database.transaction() as session:
            turns = await probes.take_turns(session, RHYTHM, limit=10)
        async with database.reading() as session:
            [watch] = [each for each in await stored.list_watches(session) if each.supplier_id == served.id]

    assert {turn.supplier_id for turn in turns} == {failing.id, quiet.id}
    assert watch.traffic_failed_at is None
    assert [(each.way, each.is_ok) for each in watch.looks] == [("traffic", True)]
    assert (watch.health, watch.due_at > now + timedelta(seconds=50)) == ("healthy", True)


async def test_each_turn_is_taken_by_one_replica(open_database: OpenDatabase) -> None:
    suppliers = named(*(a_supplier() for _ in range(12)))
    async with open_database() as database:
        async with database.transaction() as session:
            await probes.watch_suppliers(session, suppliers)

        async def take() -> list[Turn]:
            async with database.transaction() as session:
                return await probes.take_turns(session, RHYTHM, limit=5)

        taken = await asyncio.gather(*(take() for _ in range(5)))

    everybody = [turn.supplier_id for turns in taken for turn in turns]
    assert len(everybody) == len(set(everybody))
    assert set(everybody) <= set(suppliers)


async def test_what_waits_to_be_told_is_not_told_as_seen_just_now(open_database: OpenDatabase) -> None:
    suppliers, begun_at = [a_supplier(), a_supplier()], datetime.now(UTC)
    told: list[tuple[datetime, datetime]] = []

    async def tell(event: SourceHealthChanged) -> None:
        told.append((event.observed_at, datetime.now(UTC)))

    async with open_database() as database:
        async with database.transaction() as session:
            await probes.watch_suppliers(session, named(*suppliers))
            for each in suppliers:
                await probes.note_look(session, Turn(each.id, each.base_url), BAD, RHYTHM)
        unused: Any = None
        await Prober(database, unused, unused, unused, RHYTHM).tell(tell)

    (first, told_at), (second, _) = told
    assert begun_at < first == second < told_at


async def test_what_is_seen_is_told_again_from_time_to_time(open_database: OpenDatabase) -> None:
    supplier = a_supplier()
    turn = Turn(supplier.id, supplier.base_url)
    async with open_database() as database:

        async def untold(repeat: timedelta) -> list[str]:
            async with database.reading() as session:
                return [each.health for each in await probes.list_untold(session, repeat)]

        async def seen(look: Seen) -> Watch:
            async with database.transaction() as session:
                await probes.note_look(session, turn, look, RHYTHM)
                return await probes.get_watch(session, supplier.id)

        async with database.transaction() as session:
            await probes.watch_suppliers(session, named(supplier))
        before = await untold(timedelta(minutes=1))
        told = await seen(BAD)
        changed = await untold(timedelta(minutes=1))
        async with database.transaction() as session:
            await probes.note_told(session, told)
        just_told, long_after = await untold(timedelta(minutes=1)), await untold(timedelta(0))
        for _ in range(2):
            await seen(GOOD)
        well = await untold(timedelta(minutes=1))

    assert (before, changed, just_told, long_after, well) == ([], ["degraded"], [], ["degraded"], ["healthy"])
