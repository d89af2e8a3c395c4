import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import nats.js.errors
import pytest
import sqlalchemy as sa
from nats.js.api import DiscardPolicy, RawStreamMsg
from sqlalchemy.engine import make_url

from builders import an_event
from faults.wires import Wire
from modelbus.catalog.store.tables import outbox
from modelbus.chassis import relay as relay_module
from modelbus.chassis.database import Database
from modelbus.chassis.database_figures import of_relay
from modelbus.chassis.ids import new_id
from modelbus.chassis.loops import stop
from modelbus.chassis.messaging import Bus
from modelbus.chassis.outbox import record
from modelbus.chassis.parting import last_shared
from modelbus.chassis.relay import Cursor, Relay, StreamMovedError
from modelbus.contracts.bus import CATALOG, SYNC
from modelbus.contracts.envelope import read_envelope
from running import eventually, free_port
from servers import FreshDatabase
from testing_bus import LocalBus


@asynccontextmanager
async def relaying(database: Database, local: LocalBus) -> AsyncIterator[Relay]:
    connection = Bus(local.url, service="catalog")
    connection.start()
    relay = Relay(database, outbox, connection, CATALOG)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        await stop([task])
        await connection.stop()


async def commit(database: Database, events: int = 1) -> None:
    async with database.transaction() as session:
        for _ in range(events):
            await record(session, an_event())


async def on_the_stream(local: LocalBus) -> list[RawStreamMsg]:
    client = await local.client()
    try:
        context = client.jetstream()
        last = (await context.stream_info("CATALOG")).state
        found = []
        for sequence in range(last.first_seq, last.last_seq + 1):
            raw = await context.get_msg("CATALOG", seq=sequence)
            found.append(raw)
        return found
    finally:
        await client.close()


async def revisions(local: LocalBus) -> list[int]:
    return [int((raw.headers or {})["ce-revision"]) for raw in await on_the_stream(local)]


async def test_what_is_committed_reaches_the_stream_in_order_as_cloud_events(
    catalog_database: Database, bus: LocalBus
) -> None:
    async with relaying(catalog_database, bus):
        for _ in range(5):
            await commit(catalog_database, 3)
        await eventually(lambda: _has(bus, 15))

    assert await revisions(bus) == list(range(1, 16))
    first = (await on_the_stream(bus))[0]
    envelope = read_envelope(first.headers, first.data or b"")
    assert (envelope.type, envelope.source, envelope.revision) == ("sync.requested", "/modelbus/catalog", 1)
    assert envelope.data_schema == "/schemas/sync.requested/1-1.json"


async def test_of_two_relays_one_leads_and_nothing_is_told_twice(catalog_database: Database, bus: LocalBus) -> None:
    async with relaying(catalog_database, bus) as one, relaying(catalog_database, bus) as other:
        await eventually(lambda: one.is_leader or other.is_leader)
        await asyncio.gather(*(commit(catalog_database) for _ in range(40)))
        await eventually(lambda: _has(bus, 40))
        assert one.is_leader != other.is_leader

    assert await revisions(bus) == list(range(1, 41))


async def test_a_leader_that_falls_silent_with_its_connection_open_is_followed_by_another(
    database: FreshDatabase, catalog_database: Database, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Routers must know within five seconds, telling included.
    assert relay_module.SILENCE_MS / 1000 + relay_module.POLL_S <= 4
    monkeypatch.setattr(relay_module, "SILENCE_MS", 1500)
    url = make_url(database.url("catalog"))
    wire = Wire(free_port(), url.port or 0)
    await wire.mend()
    far = Database(url.set(port=wire.port).render_as_string(hide_password=False), service="catalog", outbox=outbox)
    async with relaying(far, bus) as one:
        await eventually(lambda: one.is_leader)
        async with relaying(catalog_database, bus) as other:
            await wire.suffer("half-open")
            await commit(catalog_database)
            await eventually(lambda: other.is_leader and _has(bus, 1), within_s=30)
        await wire.remove()  # or closing what was open would wait for an answer
    await far.close()

    assert await revisions(bus) == [1]


async def test_a_leader_that_was_overtaken_is_refused_and_adds_nothing(
    catalog_database: Database, bus: LocalBus
) -> None:
    client = await bus.client()
    context = client.jetstream()
    async with relaying(catalog_database, bus) as relay:
        await commit(catalog_database)
        await eventually(lambda: _has(bus, 1))
        paused = await relay._find_cursor(context)
        await commit(catalog_database, 4)
        await eventually(lambda: _has(bus, 5))
        connection = await asyncpg.connect(catalog_database.dsn)
        rows = await relay._next_rows(connection, paused.revision)
        await connection.close()
        # The ids are forgotten by the time that the paused leader wakes; only the fence is left.
        woken = [{**row, "id": new_id()} for row in rows]

        with pytest.raises(StreamMovedError, match="refused revision 2"):
            await relay._publish(context, woken, paused)  # type: ignore[arg-type]
    await client.close()

    assert await revisions(bus) == [1, 2, 3, 4, 5]


async def test_somebody_elses_message_neither_stops_nor_loses_anything(
    catalog_database: Database, bus: LocalBus
) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database)
        await eventually(lambda: _has(bus, 1))
        client = await bus.client()
        await client.publish("sync.requested", b"{}")
        await client.flush()
        await client.close()
        await commit(catalog_database, 3)
        await eventually(lambda: _has(bus, 5))

    ours = [raw.headers["ce-revision"] for raw in await on_the_stream(bus) if raw.headers]
    assert ours == ["1", "2", "3", "4"]


async def test_a_killed_bus_loses_nothing(catalog_database: Database, bus: LocalBus) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 5)
        await eventually(lambda: _has(bus, 5))
        bus.server.kill()
        await commit(catalog_database, 5)
        bus.server.restart()
        await commit(catalog_database, 5)
        await eventually(lambda: _has(bus, 15))

    assert await revisions(bus) == list(range(1, 16))


async def test_what_waits_is_shown_by_who_can_not_tell_it(catalog_database: Database, bus: LocalBus) -> None:
    async with relaying(catalog_database, bus) as relay:
        await commit(catalog_database)
        await eventually(lambda: _has(bus, 1))
        bus.wipe()
        await commit(catalog_database, 2)
        await eventually(lambda: relay.is_refused and not relay.is_leader)
        shown = {each.name: each.samples for each in await of_relay(relay, catalog_database, outbox)()}

    assert [sample.value for sample in shown["modelbus_outbox_lag"]] == [2]


async def test_a_bus_that_answers_and_acknowledges_nothing_is_told_from_one_that_is_away(
    catalog_database: Database, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "PUBLISH_TIMEOUT_S", 0.2)
    client = await bus.client()
    context = client.jetstream()
    usual = (await context.stream_info("CATALOG")).config
    # As it is with a full disk: the stream can be asked, and of what is put on it nothing is heard.
    await context.update_stream(usual.evolve(no_ack=True, discard=DiscardPolicy.NEW, max_bytes=1))
    async with relaying(catalog_database, bus) as relay:
        await commit(catalog_database)
        await eventually(
            lambda: _says(relay, "CATALOG takes no events: NATS acknowledges none, as when its disk is full")
        )
        await context.update_stream(usual)
        await eventually(lambda: _has(bus, 1))
        await client.close()


async def _says(relay: Relay, reason: str) -> bool:
    return reason in (await relay.problem() or "")


async def test_a_wiped_bus_is_told_again_from_the_outbox(catalog_database: Database, bus: LocalBus) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 5)
        await eventually(lambda: _has(bus, 5))
        bus.wipe()
        await bus.lay_topology()
        # Nobody changes anything meanwhile: the relay finds out by itself.
        await eventually(lambda: _has(bus, 5))
        await commit(catalog_database)
        await eventually(lambda: _has(bus, 6))

    assert await revisions(bus) == list(range(1, 7))


async def test_of_a_stream_lost_beyond_the_outbox_the_rest_is_told_and_then_a_new_epoch_begins(
    catalog_database: Database, bus: LocalBus
) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 5)
        await eventually(lambda: _has(bus, 5))
    before = await epoch(catalog_database)
    await trim(catalog_database, below=4)
    bus.wipe()
    await bus.lay_topology()

    async with relaying(catalog_database, bus):
        await eventually(lambda: _has(bus, 3))

    assert await revisions(bus) == [4, 5, 6]
    assert [raw.subject for raw in await on_the_stream(bus)] == ["sync.requested", "sync.requested", "catalog.reset"]
    assert await epoch(catalog_database) != before


async def test_what_a_shortened_outbox_still_holds_is_told_though_the_stream_ended_before_it(
    catalog_database: Database, bus: LocalBus
) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 2)
        await eventually(lambda: _has(bus, 2))
    await commit(catalog_database, 4)
    await trim(catalog_database, below=5)

    async with relaying(catalog_database, bus):
        await eventually(lambda: _has(bus, 5))

    assert await revisions(bus) == [1, 2, 5, 6, 7]
    assert (await on_the_stream(bus))[-1].subject == "catalog.reset"


async def test_that_what_was_told_last_is_trimmed_is_no_loss(catalog_database: Database, bus: LocalBus) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 2)
        await eventually(lambda: _has(bus, 2))
    before = await epoch(catalog_database)
    await commit(catalog_database, 2)
    await trim(catalog_database, below=3)

    async with relaying(catalog_database, bus):
        await eventually(lambda: _has(bus, 4))

    assert await revisions(bus) == [1, 2, 3, 4]
    assert await epoch(catalog_database) == before


async def test_a_reset_that_was_begun_and_not_told_is_not_begun_twice(
    catalog_database: Database, bus: LocalBus
) -> None:
    await commit(catalog_database, 5)
    await trim(catalog_database, below=4)
    relay = Relay(catalog_database, outbox, Bus(bus.url, service="catalog"), CATALOG)
    client = await bus.client()
    await relay._reconcile(client.jetstream(), Cursor(0, None, None, 0))
    begun = await epoch(catalog_database)

    # The leader was killed before it told anything.
    again = await relay._reconcile(client.jetstream(), Cursor(0, None, None, 0))
    await client.close()

    assert again.revision == 3
    assert await epoch(catalog_database) == begun


async def test_a_restored_database_begins_a_new_epoch_beyond_what_was_told(
    catalog_database: Database, bus: LocalBus
) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 5)
        await eventually(lambda: _has(bus, 5))
    await restore(catalog_database, revision=2)

    async with relaying(catalog_database, bus):
        await eventually(lambda: _has(bus, 6))
        await commit(catalog_database)
        await eventually(lambda: _has(bus, 7))

    assert await revisions(bus) == [1, 2, 3, 4, 5, 6, 7]
    assert [raw.subject for raw in await on_the_stream(bus)][5] == "catalog.reset"


async def test_what_a_restored_database_committed_before_anybody_looked_is_told_behind_the_reset(
    catalog_database: Database, bus: LocalBus
) -> None:
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 5)
        await eventually(lambda: _has(bus, 5))
    await restore(catalog_database, revision=2)
    # Another history reaches the numbers that were told before: 3 to 8 mean something else now.
    await commit(catalog_database, 6)
    held = await ids(catalog_database)

    async with relaying(catalog_database, bus):
        await eventually(lambda: _has(bus, 12))

    told = [read_envelope(raw.headers, b"") for raw in await on_the_stream(bus)]
    assert [each.revision for each in told] == [1, 2, 3, 4, 5, *range(9, 16)]
    assert (told[5].type, {each.epoch for each in told[5:]}) == ("catalog.reset", {await epoch(catalog_database)})
    assert [each.id for each in told[6:]] == held[2:]
    assert [each.id for each in told[:2]] + [each.id for each in told[5:]] == await ids(catalog_database)


async def test_where_a_stream_and_a_restored_database_part_is_found_past_what_is_not_ours(
    catalog_database: Database, bus: LocalBus
) -> None:
    client = await bus.client()
    context = client.jetstream()
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 2)
        await eventually(lambda: _has(bus, 2))
    # Where the halving looks first.
    await context.publish("sync.requested", b"somebody else's")
    async with relaying(catalog_database, bus):
        await commit(catalog_database, 3)
        await eventually(lambda: _has(bus, 6))
    found = {}
    for revision in (5, 4, 2, 1, 0):
        await restore(catalog_database, revision)
        await commit(catalog_database, 7)
        found[revision] = await last_shared(context, "CATALOG", catalog_database, outbox)
    await client.close()

    assert found == {revision: revision for revision in found}


async def test_an_epoch_never_sets_the_head_back(catalog_database: Database, bus: LocalBus) -> None:
    connection = Bus(bus.url, service="catalog")
    relay = Relay(catalog_database, outbox, connection, SYNC)
    await commit(catalog_database, 5)

    cursor = await relay._begin_epoch(Cursor(0, None, None, 2))
    await commit(catalog_database)

    assert cursor.revision == 5


async def restore(database: Database, revision: int) -> None:
    """Put the database back to where it was at that revision, as a backup does."""
    async with database.transaction() as session:
        await session.execute(sa.delete(outbox.rows).where(outbox.rows.c.revision > revision))
        await session.execute(sa.update(outbox.head).values(version=revision))


async def trim(database: Database, below: int) -> None:
    """Let the outbox forget what is older than that revision, as it does after some days."""
    async with database.transaction() as session:
        await session.execute(sa.delete(outbox.rows).where(outbox.rows.c.revision < below))


async def ids(database: Database) -> list[UUID]:
    async with database.reading() as session:
        return [*await session.scalars(sa.select(outbox.rows.c.id).order_by(outbox.rows.c.revision))]


async def epoch(database: Database) -> UUID:
    async with database.reading() as session:
        return (await outbox.read_head(session)).epoch


async def _has(local: LocalBus, messages: int) -> bool:
    client = await local.client()
    try:
        return (await client.jetstream().stream_info("CATALOG")).state.messages >= messages
    except (nats.js.errors.NotFoundError, nats.errors.TimeoutError):
        return False
    finally:
        await client.close()
