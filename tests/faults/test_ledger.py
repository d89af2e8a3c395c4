"""The ledger finds what is missing, told twice, out of order or counted wrongly."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import RawStreamMsg

from faults.finding import BROKEN_PLACES, LIVES, check_recomputed, check_told_once
from faults.reading import Fetch, Reading, check_told
from faults.spending import EVERYTHING, Spending
from modelbus.chassis.ids import new_id
from modelbus.contracts.bus import SYNC
from testing_bus import LocalBus

MODEL, SOURCE, SUPPLIER = new_id(), new_id(), new_id()


def answering(**rows: Sequence[Any]) -> Fetch:
    """Answer rows by a word of the query."""

    async def fetch(query: str) -> Sequence[Any]:
        return next(answer for word, answer in rows.items() if word in query)

    return fetch


async def tell(client: Client, event_id: UUID, *, revision: int, epoch: UUID) -> None:
    named = {"ce-id": str(event_id), "ce-revision": str(revision), "ce-epoch": str(epoch)}
    await client.jetstream().publish("listing.fetched", b"{}", headers={**named, "Nats-Msg-Id": str(event_id)})


@pytest.mark.parametrize("told", [(1, 3), (2, 3), (1, -2, 3), (1, 2, -2, 3), (2, 1, 3), (1, 2, 3)])
async def test_a_stream_that_is_not_its_outbox_is_noticed(bus: LocalBus, told: tuple[int, ...]) -> None:
    epoch, ids = uuid4(), [new_id() for _ in range(3)]
    outbox = [(epoch, number, event_id) for number, event_id in enumerate(ids, 1)]
    fetch = answering(outbox=outbox, sync_head=[(epoch,)])
    client = await bus.client()
    for each in told:
        # One below zero is told as another event than the outbox has under that revision.
        await tell(client, ids[each - 1] if each > 0 else new_id(), revision=abs(each), epoch=epoch)
    checking = check_told(Reading(SYNC), client.jetstream(), fetch, is_restored=False)

    if told == (1, 2, 3):
        await checking
    else:
        with pytest.raises(AssertionError):
            await checking
    await client.close()


def batch(*requests: str) -> bytes:
    attempt = {"model_id": str(MODEL), "source_id": str(SOURCE), "supplier_id": str(SUPPLIER), "outcome": "ok"}
    return json.dumps({"requests": [{"id": each, "attempts": [attempt, attempt]} for each in requests]}).encode()


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
        await spending.check(client.jetstream(), counted(1, heard=[event_id]), {"one"}, is_restored=False)
    await client.close()


async def test_a_request_of_a_stream_that_was_lost_since_is_not(bus: LocalBus) -> None:
    spending, lost, told = Spending(), new_id(), new_id()
    client = await bus.client()
    await spending.hear(heard(client, lost, batch("one")))
    await client.close()
    bus.wipe()
    await bus.lay_topology()
    client = await bus.client()
    await record(client, told, batch("two"))
    fetch = counted(2, heard=[lost, told])

    await spending.check(client.jetstream(), fetch, {"one", "two"}, is_restored=False)
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
        await Spending().check(client.jetstream(), fetch, {"one"}, is_restored=False)
    await client.close()


async def test_findings_that_are_not_the_broken_places_are_noticed() -> None:
    chain, model = uuid4(), uuid4()

    async def fetch(query: str) -> Sequence[Any]:
        return [("chain", chain, model, 2 if query == BROKEN_PLACES else 1)]

    with pytest.raises(AssertionError):
        await check_recomputed(fetch)


@pytest.mark.parametrize("told", [(), ("stale", "restored"), ("restored",)])
async def test_a_finding_that_is_told_otherwise_than_it_is_is_noticed(told: tuple[str, ...]) -> None:
    finding = str(uuid4())
    messages = [
        RawStreamMsg(subject=f"reference.{each}", data=json.dumps({"finding_id": finding}).encode()) for each in told
    ]

    async def fetch(query: str) -> Sequence[Any]:
        assert query == LIVES
        return [(finding, False)]

    with pytest.raises(AssertionError):
        await check_told_once(messages, fetch)
