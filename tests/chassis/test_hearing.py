import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Receive, Scope, Send

from builders import an_event
from modelbus.catalog.store.tables import parking
from modelbus.chassis import database_problems, problems, settling
from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.database import Database
from modelbus.chassis.hearing import Heard, Hearing
from modelbus.chassis.ids import new_id
from modelbus.chassis.loops import repeat, stop
from modelbus.chassis.messaging import Bus
from modelbus.contracts.bus import CATALOG, Consumer
from modelbus.contracts.catalog import SyncRequested
from modelbus.contracts.envelope import Envelope
from running import eventually, serving
from testing_bus import LocalBus

CONSUMER = Consumer(durable="sync", stream=CATALOG, events=(SyncRequested,), max_tries=3)


class Listener:
    """Notes what it hears, and fails as the test wants."""

    def __init__(self) -> None:
        self.heard: list[UUID] = []
        self.failures: list[Exception] = []
        self.too_long: Collection[UUID] = ()
        """Runs for which PostgreSQL always takes too long."""
        self.tries = 0

    async def hear(self, session: AsyncSession, heard: Heard[SyncRequested]) -> None:
        self.tries += 1
        if heard.event.run_id in self.too_long:
            await session.execute(text("SET LOCAL statement_timeout = 1"))
            await session.execute(text("SELECT pg_sleep_for('5 s')"))
        if self.failures:
            raise self.failures.pop(0)
        self.heard.append(heard.event.run_id)


@asynccontextmanager
async def hearing(database: Database, local: LocalBus, listener: Listener) -> AsyncIterator[Hearing]:
    connection = Bus(local.url, service="catalog")
    attached = Hearing(CONSUMER)
    attached.hear(SyncRequested)(listener.hear)
    attached.attach(connection, database, parking)
    connection.start()
    watch = asyncio.create_task(repeat("watch", attached.watch, every_s=0.2))
    try:
        yield attached
    finally:
        await stop([watch])
        await connection.stop()


async def tell(local: LocalBus, body: bytes | None = None, attributes: dict[str, str] | None = None) -> UUID:
    event = an_event()
    envelope = Envelope(new_id(), event.type, "/test", datetime.now(UTC), b"")
    client = await local.client()
    try:
        headers = {**envelope.headers(), **(attributes or {})}
        await client.jetstream().publish(event.type, body or event.model_dump_json().encode(), headers=headers)
    finally:
        await client.close()
    return event.run_id


async def parked() -> list[str]:
    return [message.reason for message in (await parking.list_parked(50, None)).items]


async def test_events_are_heard_in_the_order_of_the_stream(catalog_database: Database, bus: LocalBus) -> None:
    told = [await tell(bus) for _ in range(30)]
    listener = Listener()

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: len(listener.heard) == 30)

    assert listener.heard == told


async def test_what_is_told_while_listening_is_heard_at_once(catalog_database: Database, bus: LocalBus) -> None:
    listener = Listener()
    async with hearing(catalog_database, bus, listener) as attached:
        await eventually(lambda: _is_well(attached))
        run = await tell(bus)
        await eventually(lambda: listener.heard == [run], within_s=4)


async def test_a_failure_is_retried_with_delay_until_it_succeeds(catalog_database: Database, bus: LocalBus) -> None:
    listener = Listener()
    listener.failures = [RuntimeError("first"), RuntimeError("second")]
    run = await tell(bus)

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: listener.heard == [run])

    assert await parked() == []


async def test_a_message_that_keeps_failing_is_parked_once_and_delays_nobody(
    catalog_database: Database, bus: LocalBus
) -> None:
    listener = Listener()
    poison = b'{"run_id": "not-an-id"}'
    await tell(bus, poison)
    run = await tell(bus)

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: listener.heard == [run])
        await eventually(parked)

    [reason] = await parked()
    assert "body does not parse" in reason
    assert "run_id" in reason


async def test_a_handler_that_fails_too_often_has_its_message_parked(catalog_database: Database, bus: LocalBus) -> None:
    listener = Listener()
    listener.failures = [RuntimeError(f"try {n}") for n in range(1, 4)]
    await tell(bus)

    async with hearing(catalog_database, bus, listener):
        await eventually(parked)

    assert await parked() == ["RuntimeError('try 3')"]
    assert listener.heard == []


async def test_a_message_without_an_envelope_is_parked(catalog_database: Database, bus: LocalBus) -> None:
    await tell(bus, attributes={"ce-specversion": "0.3"})

    async with hearing(catalog_database, bus, Listener()):
        await eventually(parked)

    assert "specversion" in (await parked())[0]


async def test_a_message_without_an_envelope_that_is_told_again_is_parked_once(
    catalog_database: Database, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    acknowledge = Msg.ack
    lost: list[Msg] = []

    async def lose_the_first(message: Msg) -> None:
        if lost:
            await acknowledge(message)
        else:
            lost.append(message)
            await message.nak()

    monkeypatch.setattr(Msg, "ack", lose_the_first)
    for _ in range(2):
        await tell(bus, attributes={"ce-specversion": "0.3"})

    async with hearing(catalog_database, bus, Listener()):
        await eventually(lambda: _is_answered(bus))

    assert len(lost) == 1
    assert len(await parked()) == 2


async def test_an_outage_of_ours_parks_nothing_however_long(catalog_database: Database, bus: LocalBus) -> None:
    listener = Listener()
    # More outages than tries, and one failure of its own after them: still not parked.
    listener.failures = [*(ConnectionRefusedError() for _ in range(4)), RuntimeError("once")]
    run = await tell(bus)

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: listener.heard == [run], within_s=20)

    assert await parked() == []


async def test_a_message_that_ended_who_handled_it_again_and_again_is_parked_and_not_handled_once_more(
    catalog_database: Database, bus: LocalBus
) -> None:
    listener = Listener()
    deadly = new_id()
    # As those have left it who handled it before us, after it was told so often that it became suspect.
    for _ in range(settling.MOST_BEGINNINGS):
        await parking.begin(CONSUMER.durable, deadly)
    listener.failures = [ConnectionRefusedError() for _ in range(settling.SUSPECT_DELIVERIES - 1)]
    await tell(bus, attributes={"ce-id": str(deadly)})

    async with hearing(catalog_database, bus, listener):
        await eventually(parked)

    [reason] = await parked()
    assert "begun 3 times and never done with" in reason
    assert listener.heard == []
    assert await parking.begin(CONSUMER.durable, deadly) == 1


async def test_a_message_that_waits_for_outages_to_end_was_each_time_done_with(
    catalog_database: Database, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "retry_delay_s", lambda _tries: 0.01)
    listener = Listener()
    outages = settling.SUSPECT_DELIVERIES + settling.MOST_BEGINNINGS
    listener.failures = [ConnectionRefusedError() for _ in range(outages)]
    run = await tell(bus)

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: listener.heard == [run])

    assert await parked() == []


async def test_a_message_for_which_the_database_always_takes_too_long_is_parked_and_delays_nobody(
    catalog_database: Database, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than the consumer's own tries: a burdened server is given longer.
    monkeypatch.setattr(settling, "MOST_TOO_MUCH", 4)
    monkeypatch.setattr(settling, "retry_delay_s", lambda _tries: 0.01)
    listener = Listener()
    listener.too_long = [await tell(bus)]
    run = await tell(bus)

    async with hearing(catalog_database, bus, listener):
        await eventually(parked)

    [reason] = await parked()
    assert "statement timeout" in reason
    assert (listener.heard, listener.tries) == ([run], 4 + 1)


async def test_a_deleted_consumer_is_made_anew_and_heard_again(catalog_database: Database, bus: LocalBus) -> None:
    listener = Listener()
    async with hearing(catalog_database, bus, listener) as attached:
        first = await tell(bus)
        await eventually(lambda: listener.heard == [first])
        client = await bus.client()
        await client.jetstream().delete_consumer("CATALOG", "sync")
        with pytest.raises(NotFoundError):
            await client.jetstream().consumer_info("CATALOG", "sync")
        await client.close()
        second = await tell(bus)
        # The new consumer starts from the first message; hearers are idempotent, so that costs nothing.
        await eventually(lambda: second in listener.heard)
        await eventually(lambda: _is_well(attached))


async def test_parked_messages_are_listed_retried_and_discarded_over_rest(
    catalog_database: Database, bus: LocalBus
) -> None:
    listener = Listener()
    listener.failures = [RuntimeError() for _ in range(4)]
    app = FastAPI()
    app.include_router(parking.routes())
    problems.install(app, {})
    database_problems.install(app)

    async def as_administrator(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["caller"] = Caller("administrator", Role.ADMIN)
        await app(scope, receive, send)

    run = await tell(bus)
    async with (
        hearing(catalog_database, bus, listener),
        serving(as_administrator) as url,
        httpx.AsyncClient(base_url=url) as http,
    ):
        await eventually(parked)
        [item] = (await http.get("/api/v1/parked")).json()["items"]
        assert (await http.get(f"/api/v1/parked/{item['id']}")).json() == item

        refused = await http.post(f"/api/v1/parked/{item['id']}/retry")
        assert (refused.status_code, refused.json()["code"]) == (409, "retry_failed")
        retried = await http.post(f"/api/v1/parked/{item['id']}/retry")
        assert (retried.status_code, listener.heard) == (204, [run])
        unknown = await http.get(f"/api/v1/parked/{item['id']}")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_parked")
        gone = await http.delete(f"/api/v1/parked/{item['id']}")
        assert (gone.status_code, gone.json()["code"]) == (404, "not_parked")


def test_a_hearing_needs_a_handler_for_everything_it_subscribes_to() -> None:
    with pytest.raises(ValueError, match=r"sync\.requested"):
        Hearing(CONSUMER).attach(Bus("nats://127.0.0.1:9", service="x"), None, None)  # type: ignore[arg-type]


async def _is_answered(local: LocalBus) -> bool:
    client = await local.client()
    try:
        told = await client.jetstream().consumer_info("CATALOG", CONSUMER.durable)
        return (told.num_pending, told.num_ack_pending) == (0, 0)
    finally:
        await client.close()


async def _is_well(attached: Hearing) -> bool:
    return await attached.problem() is None
