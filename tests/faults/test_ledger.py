"""The ledger finds what is missing, told twice, out of order or counted wrongly."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg

from faults.finding import BROKEN_PLACES, EPOCH, LIVES, check_recomputed, check_told_once
from faults.reading import Fetch, Forgotten, Reading, Told, check_told
from faults.spending import EVERYTHING, Spending
from modelbus.chassis.ids import new_id
from modelbus.chassis.topology import ensure
from modelbus.contracts.bus import SYNC
from testing_bus import LocalBus

MODEL, SOURCE, SUPPLIER = new_id(), new_id(), new_id()
LATELY = Forgotten(datetime.now(UTC) - timedelta(seconds=10), datetime.now(UTC))


def answering(**rows: Sequence[Any]) -> Fetch:
    """Answer rows by a word of the query."""

    async def fetch(query: str) -> Sequence[Any]:
        return next(answer for word, answer in rows.items() if word in query)

    return fetch


async def tell(client: Client, event_id: UUID, *, revision: int, epoch: UUID) -> None:
    named = {"ce-id": str(event_id), "ce-revision": str(revision), "ce-epoch": str(epoch)}
    await client.jetstream().publish("listing.fetched", b"{}", headers={**named, "Nats-Msg-Id": str(event_id)})


def committed(events: Sequence[Told], *, epoch: UUID, head: int) -> Fetch:
    """Answer an outbox and its head."""
    return answering(sync_head=[(epoch, head, *each) for each in events] or [(epoch, head, None, None, None)])


@pytest.mark.parametrize("told", [(1, 3), (2, 3), (1, 2), (1, -2, 3), (1, 2, -2, 3), (2, 1, 3), (1, 2, 3)])
async def test_a_stream_that_is_not_its_outbox_is_noticed(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch, told: tuple[int, ...]
) -> None:
    monkeypatch.setattr("faults.reading.SETTLED_WITHIN_S", 0.2)
    epoch, ids = uuid4(), [new_id() for _ in range(3)]
    client = await bus.client()
    for each in told:
        # One below zero is told as another event than the outbox has under that revision.
        await tell(client, ids[each - 1] if each > 0 else new_id(), revision=abs(each), epoch=epoch)
    outbox = [Told(epoch, number, event_id) for number, event_id in enumerate(ids, 1)]
    checking = check_told(Reading(SYNC), client.jetstream(), committed(outbox, epoch=epoch, head=3))

    if told == (1, 2, 3):
        await checking
    else:
        with pytest.raises(AssertionError):
            await checking
    await client.close()


@pytest.mark.parametrize(
    ("outbox", "untold", "head", "is_put_back", "is_right"),
    [
        ("a1 a2", "", 2, False, True),
        ("a2 a3", "", 3, False, False),
        ("a1 a2", "", 3, False, False),
        ("a1 b4 b5", "", 5, False, False),
        ("a1 b4 b5", "a2 a3", 5, True, True),
        ("a1 b4 b6", "a2 a3", 6, True, False),
        ("a1 b4 b5", "a2 b3", 5, True, False),
        ("a1 b4 b5", "a2 a3", 6, True, False),
        ("a2 b4 b5", "a1 a3", 5, True, False),
    ],
)
async def test_an_outbox_that_does_not_lead_from_the_first_revision_to_the_head_is_noticed(
    bus: LocalBus, *, outbox: str, untold: str, head: int, is_put_back: bool, is_right: bool
) -> None:
    epochs, client = {"a": uuid4(), "b": uuid4()}, await bus.client()
    events = {each: Told(epochs[each[0]], int(each[1]), new_id()) for each in f"{outbox} {untold}".split()}
    for each in sorted(events.values(), key=lambda event: event.revision):
        await tell(client, each.event_id, revision=each.revision, epoch=each.epoch)
    held = [events[each] for each in outbox.split()]
    fetch = committed(held, epoch=held[-1].epoch, head=head)
    forgotten = LATELY if is_put_back else None
    checking = check_told(Reading(SYNC), client.jetstream(), fetch, forgotten=forgotten)

    if is_right:
        await checking
    else:
        with pytest.raises(AssertionError):
            await checking
    await client.close()


def batch(*requests: str, run: str = "a run") -> bytes:
    attempt = {"model_id": str(MODEL), "source_id": str(SOURCE), "supplier_id": str(SUPPLIER), "outcome": "ok"}
    told = [{"id": each, "attempts": [attempt, attempt]} for each in requests]
    return json.dumps({"router_id": "a router", "run_id": run, "requests": told}).encode()


def counted(requests: int, *, heard: Sequence[UUID]) -> Fetch:
    """Answer what the services have counted when that many requests were told."""
    targets = [(target, requests) for target in (MODEL, SOURCE, SUPPLIER, EVERYTHING)]
    return answering(heard_usage=[(each,) for each in heard], model_usage=[(MODEL, requests)], usage_hours=targets)


async def record(client: Client, event_id: UUID, body: bytes) -> None:
    await client.jetstream().publish("usage.recorded", body, headers={"ce-id": str(event_id)})


def heard(client: Client, event_id: UUID, body: bytes) -> Msg:
    return Msg(client, "usage.recorded", data=body, headers={"ce-id": str(event_id)})


async def test_a_request_that_was_heard_but_that_the_stream_does_not_hold_is_missing(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faults.spending.SETTLED_WITHIN_S", 0.2)
    client, event_id, spending = await bus.client(), new_id(), Spending()
    await spending.hear(heard(client, event_id, batch("one")))

    with pytest.raises(AssertionError, match="one"):
        await spending.check(client.jetstream(), counted(1, heard=[event_id]), {"one"})
    await client.close()


@pytest.mark.parametrize(
    ("ago_s", "next_run", "is_told_again", "is_right"),
    [
        (90, "a run", False, True),
        (5, "another run", False, True),
        (5, "a run", True, True),
        (5, "a run", False, False),
    ],
    ids=["long ago", "by a router that was killed", "told again", "lost"],
)
async def test_what_a_lost_stream_was_told_of_late_must_be_told_again_by_a_router_that_lives(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch, *, ago_s: int, next_run: str, is_told_again: bool, is_right: bool
) -> None:
    monkeypatch.setattr("faults.spending.SETTLED_WITHIN_S", 0.2)
    client, spending, lost, told = await bus.client(), Spending(), new_id(), new_id()
    created = (await client.jetstream().stream_info("USAGE")).created
    assert created
    one, two = batch("one"), batch("two", run=next_run)
    spending.note(heard(client, lost, one), created - timedelta(seconds=ago_s))
    await spending.hear(heard(client, told, two))
    await record(client, told, two)
    if is_told_again:
        await record(client, lost, one)
    # Nobody waits for the answer of the first any more.
    checking = spending.check(client.jetstream(), counted(2, heard=[lost, told]), {"two"})

    if is_right:
        await checking
    else:
        with pytest.raises(AssertionError, match=str(lost)):
            await checking
    await client.close()


async def test_what_was_found_on_a_stream_is_known_when_the_stream_is_gone(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hears may find back to NATS later than a router does: what was told until then only the stream says."""
    monkeypatch.setattr("faults.spending.SETTLED_WITHIN_S", 0.2)
    client, spending, lost, told = await bus.client(), Spending(), new_id(), new_id()
    context = client.jetstream()
    await record(client, lost, batch("one"))
    await spending.check(context, counted(1, heard=[lost]), {"one"})
    await context.delete_stream("USAGE")
    await ensure(context)
    two = batch("two", run="another run")
    await record(client, told, two)

    await spending.check(context, counted(2, heard=[lost, told]), {"two"})
    with pytest.raises(AssertionError, match="nobody told"):
        await spending.check(context, counted(3, heard=[lost, told, new_id()]), {"two"})
    await client.close()


@pytest.mark.parametrize(("ago_s", "is_right"), [(None, False), (0, True), (60, False), (-60, False)])
async def test_what_nobody_has_heard_is_noticed_but_for_what_a_database_that_was_put_back_has_forgotten(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch, *, ago_s: int | None, is_right: bool
) -> None:
    monkeypatch.setattr("faults.spending.SETTLED_WITHIN_S", 0.2)
    client = await bus.client()
    await record(client, new_id(), batch("one"))
    forgotten = None
    if ago_s is not None:
        middle = datetime.now(UTC) - timedelta(seconds=ago_s)
        forgotten = Forgotten(middle - timedelta(seconds=10), middle + timedelta(seconds=10))
    fetch = answering(heard_usage=[], model_usage=[], usage_hours=[])
    checking = Spending().check(client.jetstream(), fetch, {"one"}, forgotten=forgotten)

    if is_right:
        await checking
    else:
        with pytest.raises(AssertionError, match="catalog"):
            await checking
    await client.close()


@pytest.mark.parametrize(("times", "is_counted"), [(2, 1), (1, 2)])
async def test_a_request_that_is_told_or_counted_twice_is_noticed(
    bus: LocalBus, monkeypatch: pytest.MonkeyPatch, times: int, is_counted: int
) -> None:
    monkeypatch.setattr("faults.spending.SETTLED_WITHIN_S", 0.2)
    client, ids = await bus.client(), [new_id() for _ in range(times)]
    for each in ids:
        await record(client, each, batch("one"))
    fetch = counted(times * is_counted, heard=ids)

    with pytest.raises(AssertionError):
        await Spending().check(client.jetstream(), fetch, {"one"})
    await client.close()


async def test_findings_that_are_not_the_broken_places_are_noticed() -> None:
    chain, model = uuid4(), uuid4()

    async def fetch(query: str) -> Sequence[Any]:
        return [("chain", chain, model, 2 if query == BROKEN_PLACES else 1)]

    with pytest.raises(AssertionError):
        await check_recomputed(fetch)


@pytest.mark.parametrize(
    ("told", "is_put_back", "is_right"),
    [
        ((), False, False),
        (("stale", "restored"), False, False),
        (("restored",), False, False),
        (("stale",), False, True),
        (("stale",), True, True),
        ((), True, False),
        (("stale", "restored"), True, False),
    ],
)
async def test_a_finding_that_is_told_otherwise_than_it_is_is_noticed(
    told: tuple[str, ...], *, is_put_back: bool, is_right: bool
) -> None:
    finding, epoch = str(uuid4()), str(uuid4())
    messages = [finding_told(f"reference.{each}", finding, epoch) for each in told]
    # Of an epoch before this one is what only the stream remembers.
    messages += [finding_told("reference.stale", str(uuid4()), str(uuid4()))] * is_put_back
    rows: dict[str, Sequence[Any]] = {LIVES: [(finding, False)], EPOCH: [(epoch,)]}

    async def fetch(query: str) -> Sequence[Any]:
        return rows[query]

    checking = check_told_once(messages, fetch, forgotten=LATELY if is_put_back else None)
    if is_right:
        await checking
    else:
        with pytest.raises(AssertionError):
            await checking


def finding_told(subject: str, finding: str, epoch: str) -> RawStreamMsg:
    return RawStreamMsg(subject=subject, data=json.dumps({"finding_id": finding}).encode(), headers={"ce-epoch": epoch})
