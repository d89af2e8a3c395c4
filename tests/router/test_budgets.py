"""What callers may spend: by day, week, month and in all, over all routers, and over restarts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from structlog.testing import capture_logs

from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.chassis.topology import DUPLICATE_WINDOW_S
from modelbus.contracts.access import BudgetRecord
from modelbus.contracts.records import CostPrices, PriceRecord
from modelbus.contracts.usage import UsageRecorded
from modelbus.router.domain.errors import BudgetExceededError
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.ledger.packing import Batch
from modelbus.router.ledger.spool import Spool
from modelbus.router.ledger.told import KEPT_S
from modelbus.router.limits.budgets import Spending
from modelbus.router.limits.counted import Counted
from modelbus.router.limits.grants import Grants
from modelbus.router.limits.periods import ends_in_s
from modelbus.router.limits.purses import Purses
from modelbus.router.limits.statement import Statement
from modelbus.router.limits.waiting import Waiting
from permitted_bus import permitted_bus, url_of
from router.routers import running_router
from router.seeding import Seed
from router.test_limits import LIMITED, a_consumer, ask, refused
from router.world import World
from running import eventually
from testing_bus import LocalBus

ONE = Decimal(1)
MIB = 1024 * 1024
NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)  # A Wednesday.


def budgets(**amounts: str) -> list[BudgetRecord]:
    return [BudgetRecord(period=period, amount=Decimal(amount)) for period, amount in amounts.items()]


def priced(world: World, per_request: str = "1") -> None:
    """Charge so much for each request."""
    nothing = Decimal(0)
    charge = CostPrices(input=nothing, output=nothing, request=Decimal(per_request))
    world.seed.put(
        PriceRecord(id=world.model.id, model_id=world.model.id, charge=charge, valid_from=NOW, valid_until=None)
    )


def an_entry(key: UUID | None, charge: Decimal | None = ONE, **fields: Any) -> RequestEntry:
    usual: dict[str, Any] = {
        "access_key_id": key,
        "asked_for": "gpt-4o",
        "is_stream": False,
        "started_at": datetime.now(UTC),
        "latency_ms": 1,
        "status": 200,
        "outcome": "ok",
        "attempts": [],
        "catalog_revision": 1,
    }
    return RequestEntry(id=new_id(), charge=charge, **(usual | fields))


async def tell(bus: LocalBus, run_id: UUID | None, *entries: Any, batch: str | None = None) -> None:
    """Tell usage as a router does."""
    told = {"router_id": "elsewhere", "run_id": run_id, "requests": entries}
    client = await bus.client()
    headers = {"Nats-Msg-Id": batch} if batch else None
    await client.jetstream().publish(UsageRecorded.type, msgspec.json.encode(told), headers=headers)
    await client.close()


class Reader:
    """The spending of one router, and what it reads of others'."""

    def __init__(self, bus: Bus, directory: Path, run_id: UUID | None = None) -> None:
        self.spending = Spending()
        self.spool = Spool(directory / "usage", most_bytes=MIB)
        self.is_wanted = True
        run_id = run_id or new_id()
        self.statement = Statement(
            self.spending,
            bus,
            Waiting(self.spool, run_id=run_id),
            run_id=run_id,
            keep=directory / "spending.json",
            is_wanted=lambda: self.is_wanted,
        )
        self.statement.load()

    def spent(self, key: UUID, period: str = "month") -> Decimal:
        return self.spending.spent(key, period, datetime.now(UTC))

    async def read(self, key: UUID) -> Decimal:
        await self.statement.catch_up()
        return self.spent(key)


@pytest.fixture
async def connection(bus: LocalBus) -> Any:
    connected = Bus(bus.url, service="router")
    connected.start()
    await connected.connected()
    yield connected
    await connected.stop()


@pytest.mark.parametrize(
    ("period", "counted", "ends_in"),
    [
        ("day", 1, timedelta(hours=12)),
        ("week", 2, timedelta(days=4, hours=12)),
        ("month", 3, timedelta(days=13, hours=12)),
        ("total", 4, None),
    ],
)
def test_a_period_is_one_of_the_calendar_in_utc(period: str, counted: int, ends_in: timedelta | None) -> None:
    key, purses = new_id(), Purses()
    last_moments = [datetime(2026, *day, 23, 59, 59, tzinfo=UTC) for day in ((2, 28), (3, 15), (3, 17))]
    for at in (*last_moments, NOW):
        purses.spend(key, at, ONE)

    assert purses.spent(key, period, NOW.date()) == counted
    assert ends_in_s(period, NOW) == (ends_in.total_seconds() if ends_in else None)


def test_a_purse_keeps_no_more_days_than_a_period_can_have() -> None:
    key, purses, now = new_id(), Purses(), datetime.now(UTC)
    for days in range(100, -1, -1):
        purses.spend(key, now - timedelta(days=days), ONE)

    assert len(purses.by_holder[key].days) == 31
    assert purses.spent(key, "total", now.date()) == 101


async def test_who_has_spent_the_budget_is_refused_until_the_period_is_over(world: World, tmp_path: Path) -> None:
    priced(world)
    world.seed.key(LIMITED, budgets=budgets(day="2", total="100"))
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert refused(answers[2]) == "budget_exceeded"
    assert answers[2].headers["x-should-retry"] == "false"
    assert 0 < int(answers[2].headers["retry-after"]) <= 86400
    assert "2 USD per day" in answers[2].json()["error"]["message"]


async def test_a_budget_without_end_says_no_time_to_wait_for(world: World, tmp_path: Path) -> None:
    world.seed.key(LIMITED, budgets=budgets(total="0"))
    async with running_router(tmp_path, world.seed) as router:
        answer = await ask(router)

    assert refused(answer) == "budget_exceeded"
    assert "retry-after" not in answer.headers


async def test_keys_of_one_consumer_spend_its_budget_together(world: World, tmp_path: Path) -> None:
    priced(world)
    consumer = a_consumer(world.seed, budgets=budgets(month="2"))
    world.seed.key("mb-one", consumer_id=consumer.id, budgets=budgets(month="50"))
    world.seed.key("mb-two", consumer_id=consumer.id)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router, key) for key in ("mb-one", "mb-two", "mb-one", "mb-two")]

    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]


async def test_what_a_router_spends_counts_at_the_other(world: World, tmp_path: Path, bus: LocalBus) -> None:
    priced(world)
    world.seed.key(LIMITED, budgets=budgets(month="3"))
    async with (
        running_router(tmp_path / "one", world.seed, nats_url=bus.url) as one,
        running_router(tmp_path / "two", world.seed, nats_url=bus.url) as two,
    ):
        spent = [(await ask(one)).status_code for _ in range(3)]

        async def is_refused() -> bool:
            # One that is not permitted costs nothing, so that only what the first has spent can refuse it.
            return (await ask(two, model="none")).status_code == 429

        await eventually(is_refused)

    assert spent == [200, 200, 200]


async def test_what_was_spent_is_known_after_a_restart_with_the_bus_away(
    world: World, tmp_path: Path, bus: LocalBus
) -> None:
    priced(world)
    key = world.seed.key(LIMITED, budgets=budgets(month="1"))
    async with running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        assert (await ask(router)).status_code == 200
        client = await bus.client()

        async def is_told() -> bool:
            return (await client.jetstream().stream_info("USAGE")).state.messages == 1

        await eventually(is_told)
        await client.close()
    connection = Bus(bus.url, service="router")
    connection.start()
    await connection.connected()
    reader = Reader(connection, tmp_path)
    await reader.read(key.id)
    await reader.statement.save()
    await connection.stop()

    async with running_router(tmp_path, world.seed) as restarted:
        answer = await ask(restarted)

    assert refused(answer) == "budget_exceeded"


async def test_a_router_counts_its_own_requests_once(bus: LocalBus, connection: Bus, tmp_path: Path) -> None:
    run_id, key = new_id(), new_id()
    reader = Reader(connection, tmp_path, run_id)
    mine, unpriced = an_entry(key, consumer_id=key), an_entry(key, charge=None)
    reader.spending.note(mine)
    reader.spending.note(unpriced)
    before = reader.spent(key)
    await tell(bus, run_id, mine, unpriced)
    # What an attempt cost is no charge.
    await tell(bus, run_id, _older(key, "0.5", None))
    await tell(bus, new_id(), an_entry(key))

    # Key and consumer are one here, so each of its own counts twice.
    assert [before, await reader.read(key)] == [Decimal(2), Decimal(3)]


async def test_a_fresh_router_reads_the_whole_stream_and_a_known_one_the_rest(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    key = new_id()
    # More than is read at once.
    client = await bus.client()
    body = msgspec.json.encode({"router_id": "elsewhere", "requests": [an_entry(key), an_entry(key)]})
    for _ in range(600):
        await client.publish(UsageRecorded.type, body)

    async def is_stored() -> bool:
        return (await client.jetstream().stream_info("USAGE")).state.messages == 600

    await eventually(is_stored)
    await client.close()
    reader = Reader(connection, tmp_path)

    assert await reader.read(key) == 1200
    await reader.statement.save()
    await tell(bus, None, an_entry(key))
    again = Reader(connection, tmp_path)
    assert again.spent(key) == 1200
    assert await again.read(key) == 1201


async def test_a_stream_that_was_lost_begins_anew_and_sums_stay(bus: LocalBus, connection: Bus, tmp_path: Path) -> None:
    key, reader = new_id(), Reader(connection, tmp_path)
    await tell(bus, None, an_entry(key))
    await tell(bus, None, an_entry(key))
    assert await reader.read(key) == 2
    bus.wipe()
    await bus.lay_topology()
    await eventually(lambda: connection.is_connected)
    await tell(bus, None, an_entry(key))

    assert await reader.read(key) == 3


async def test_a_batch_that_is_told_twice_counts_once_and_a_restart_between_changes_nothing(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    key = new_id()
    entry = an_entry(key)
    # Beyond the window in which the stream itself would notice.
    client = await bus.client()
    context = client.jetstream()
    config = (await context.stream_info("USAGE")).config
    config.duplicate_window = 0.1
    await context.update_stream(config)
    await tell(bus, None, entry, batch="b")
    before = Reader(connection, tmp_path)
    assert await before.read(key) == 1
    await before.statement.save()

    async def is_stored_twice() -> bool:
        await tell(bus, None, entry, batch="b")
        return (await context.stream_info("USAGE")).state.messages == 2

    await eventually(is_stored_twice)
    await client.close()

    assert await Reader(connection, tmp_path).read(key) == 1
    assert await before.read(key) == 1


async def test_what_fifteen_routers_tell_again_of_their_last_minute_counts_once(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    key, reader = new_id(), Reader(connection, tmp_path)
    told = [(run_id, str(new_id())) for run_id in [new_id() for _ in range(15)] for _ in range(280)]
    bodies = {run_id: msgspec.json.encode({"run_id": run_id, "requests": [an_entry(key)]}) for run_id, _ in told}

    async def tell_all() -> Decimal:
        client = await bus.client()
        for run_id, batch in told:
            await client.publish(UsageRecorded.type, bodies[run_id], headers={"Nats-Msg-Id": batch})

        async def is_stored() -> bool:
            return (await client.jetstream().stream_info("USAGE")).state.messages == len(told)

        await eventually(is_stored)
        await client.close()
        return await reader.read(key)

    before = await tell_all()
    bus.wipe()
    await bus.lay_topology()
    await eventually(lambda: connection.is_connected)

    assert [before, await tell_all()] == [len(told), len(told)]


def test_batches_are_remembered_by_age_and_each_process_by_its_own_newest() -> None:
    counted, busy, cut_off = Counted(), new_id(), new_id()
    counted.add(cut_off, "last", NOW)
    for second in range(3000):
        counted.add(busy, str(second), NOW + timedelta(seconds=second))

    assert counted.has(cut_off, "last")
    assert not counted.has(busy, "last")
    kept = KEPT_S + DUPLICATE_WINDOW_S
    assert all(counted.has(busy, str(second)) for second in range(3000 - int(kept), 3000))
    assert not any(counted.has(busy, str(second)) for second in range(3000 - 3 * int(kept)))
    counted.add(new_id(), "first", NOW + timedelta(hours=2))
    assert not counted.has(cut_off, "last")


async def test_what_waits_on_disk_counts_from_the_start_and_once_when_it_is_told(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    key, before = new_id(), Spool(tmp_path / "usage", most_bytes=MIB)
    ledger = Ledger(before, connection, router_id="r", run_id=new_id())
    for told_last in (True, False):
        ledger.record(an_entry(key))
        await ledger.write()
        if told_last:
            [spooled] = before.oldest(9)
            # Killed between telling and trimming it.
            headers = {"Nats-Msg-Id": str(spooled.batch.id)}
            await (
                (await connection.connected())
                .jetstream()
                .publish(UsageRecorded.type, spooled.batch.body, headers=headers)
            )
            earlier = Reader(connection, tmp_path)
            assert await earlier.read(key) == 1
            await earlier.statement.save()
    before.close()

    away = Reader(Bus("nats://127.0.0.1:9", service="router"), tmp_path)
    away.spool.open()
    assert await away.read(key) == 2
    away.spool.close()
    reader = Reader(connection, tmp_path)
    reader.spool.open()
    assert await reader.read(key) == 2
    ledger = Ledger(reader.spool, connection, router_id="r", run_id=new_id())
    await ledger.write()
    await ledger.publish()
    assert await reader.read(key) == 2
    await tell(bus, None, an_entry(key))
    assert await reader.read(key) == 3


async def test_what_waits_and_can_not_be_read_is_left_for_the_stream_to_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, run_id = Spool(tmp_path, most_bytes=MIB), new_id()
    spool.open()
    spool.append([Batch(new_id(), NOW, b"{}")])
    waiting, spending = Waiting(spool, run_id=run_id), Spending()

    await waiting.sum_up(spending, Counted())
    monkeypatch.setattr(Path, "open", refuse)
    with capture_logs() as logs:
        waiting = Waiting(spool, run_id=run_id)
        for _ in range(2):
            await waiting.sum_up(spending, Counted())
    assert [line["log_level"] for line in logs] == ["warning"]


def refuse(*_args: object) -> None:
    raise OSError(5, "Input/output error")


async def test_a_restarted_router_knows_what_it_spent_though_nobody_was_told(world: World, tmp_path: Path) -> None:
    priced(world)
    world.seed.key(LIMITED, budgets=budgets(month="1"))
    async with running_router(tmp_path, world.seed) as router:
        assert (await ask(router)).status_code == 200

    async with running_router(tmp_path, world.seed) as restarted:

        async def is_refused() -> bool:
            return (await ask(restarted, model="none")).status_code == 429

        await eventually(is_refused)


async def test_usage_is_read_while_somebody_has_a_budget_and_the_first_one_counts_what_the_stream_holds(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    seed, run_id = Seed(), new_id()
    key = seed.key(LIMITED)
    reader, grants = Reader(connection, tmp_path, run_id), Grants(seed.table)
    reader.spending.note(mine := an_entry(key.id))
    await tell(bus, run_id, mine)
    await tell(bus, None, an_entry(key.id))
    client = await connection.connected()
    before = client.stats["out_msgs"]
    reader.is_wanted = grants.any()
    await reader.statement.catch_up()
    assert client.stats["out_msgs"] == before

    seed.key("mb-other", budgets=budgets(day="1"))
    reader.is_wanted = grants.any()
    assert await reader.read(key.id) == 2
    before = client.stats["out_msgs"]
    await reader.statement.catch_up()
    # Which is to subscribe, to ask for what is next and to unsubscribe: nobody asks about the stream each second.
    assert client.stats["out_msgs"] == before + 1


async def test_a_stream_that_lost_its_end_is_read_on_from_where_it_ends(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    key, reader = new_id(), Reader(connection, tmp_path)
    await tell(bus, None, an_entry(key))
    await reader.read(key)
    await reader.statement.save()
    kept = msgspec.json.decode((tmp_path / "spending.json").read_bytes())
    (tmp_path / "spending.json").write_bytes(msgspec.json.encode(kept | {"read_to": 9}))

    again = Reader(connection, tmp_path)
    assert await again.read(key) == 1
    await tell(bus, None, an_entry(key))
    assert await again.read(key) == 2


async def test_usage_that_left_the_stream_before_it_was_summed_up_is_missed_aloud(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    key, reader, client = new_id(), Reader(connection, tmp_path), await bus.client()
    context = client.jetstream()
    # The stream of the topology lets nobody take anything out, as its limits do.
    config = (await context.stream_info("USAGE")).config
    config.deny_purge = False
    await context.delete_stream("USAGE")
    await context.add_stream(config)
    await tell(bus, None, an_entry(key))
    assert await reader.read(key) == 1
    for _ in range(5):
        await tell(bus, None, an_entry(key))
    await context.purge_stream("USAGE", keep=2)
    await client.close()

    with capture_logs() as logs:
        assert await reader.read(key) == 3
    assert [line["messages"] for line in logs if line["log_level"] == "error"] == [3]


async def test_usage_of_older_routers_counts_what_it_cost_and_what_can_not_be_read_not_at_all(
    bus: LocalBus, connection: Bus, tmp_path: Path
) -> None:
    key, reader = new_id(), Reader(connection, tmp_path)
    client = await bus.client()
    older = {"router_id": "old", "requests": [_older(key, "0.25", None, "0.5"), _older(key)]}
    for body in (b"{", msgspec.json.encode(older)):
        await client.jetstream().publish(UsageRecorded.type, body)
    await client.close()

    assert await reader.read(key) == Decimal("0.75")


def _older(key: UUID, *costs: str | None) -> dict[str, Any]:
    return {"started_at": datetime.now(UTC), "access_key_id": key, "attempts": [{"cost": cost} for cost in costs]}


def test_a_damaged_file_is_left_and_everything_read_again(tmp_path: Path) -> None:
    (tmp_path / "spending.json").write_text('{"stream": 7')

    assert Reader(Bus("nats://127.0.0.1:9", service="router"), tmp_path).spent(new_id()) == 0


async def test_a_router_may_read_what_was_spent(public_directory: Path, tmp_path: Path) -> None:
    async with permitted_bus(public_directory) as server:
        connection = Bus(url_of(server, "router"), service="router")
        connection.start()
        client = await connection.connected()
        key = new_id()
        body = msgspec.json.encode({"router_id": "r", "requests": [an_entry(key)]})
        await client.jetstream().publish(UsageRecorded.type, body)

        assert await Reader(connection, tmp_path).read(key) == 1
        assert connection.refused == {}
        await connection.stop()


def test_a_budget_that_nobody_has_set_is_never_spent() -> None:
    seed = Seed()
    seed.key(LIMITED)
    [caller] = seed.table().access_keys.all()
    spending = Spending()
    spending.note(an_entry(caller.id, Decimal(10**6)))

    spending.demand([caller])
    seed.key("mb-other", budgets=budgets(day="1000000"))
    [other] = [one for one in seed.table().access_keys.all() if one.budgets]
    spending.note(an_entry(other.id, Decimal(10**6)))
    with pytest.raises(BudgetExceededError):
        spending.demand([other])
