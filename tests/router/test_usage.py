import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import SpanKind, format_trace_id
from pydantic import BaseModel

from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.chassis.span_export import Share
from modelbus.contracts.envelope import read_envelope
from modelbus.contracts.event import read_event
from modelbus.contracts.usage import AttemptRecord, RequestRecord, Tokens, UsageRecorded
from modelbus.router.journey.trip import MOST_SKIPPED
from modelbus.router.ledger import entries
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.ledger.packing import Batch, line_of
from modelbus.router.ledger.spool import Spool
from modelbus.router.ledger.told import KEPT_S, Told
from modelbus.simulator import Fault, Simulator
from router.routers import KEY, PROMPT, running_router
from router.world import World
from running import eventually
from testing_bus import LocalBus


class Listener:
    """Hears the usage as another team would."""

    def __init__(self) -> None:
        self.messages: list[Msg] = []

    @property
    def requests(self) -> list[RequestRecord]:
        return [each for message in self.messages for each in read_event(UsageRecorded, message.data).requests]

    async def heard(self, count: int) -> list[RequestRecord]:
        await eventually(lambda: len(self.requests) >= count)
        return self.requests


@asynccontextmanager
async def listening(bus: LocalBus) -> AsyncIterator[Listener]:
    """Hear the stream from its beginning."""
    listener, client = Listener(), await bus.client()

    async def hear(message: Msg) -> None:
        listener.messages.append(message)

    await client.jetstream().subscribe(UsageRecorded.type, cb=hear, ordered_consumer=True)
    yield listener
    await client.close()


async def test_a_request_is_told_with_its_tokens_and_who_served_it(world: World, tmp_path: Path, bus: LocalBus) -> None:
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        answer = await router.complete()
        [request] = await listener.heard(1)

    [attempt] = request.attempts
    envelope = read_envelope(listener.messages[0].headers, listener.messages[0].data)
    assert (envelope.type, envelope.source) == ("usage.recorded", "/modelbus/router")
    assert str(request.id) == answer.headers["x-request-id"]
    assert (request.asked_for, request.is_stream, request.status, request.outcome) == ("gpt-4o", False, 200, "ok")
    assert request.catalog_revision == 1
    assert (attempt.source_id, attempt.supplier_id, attempt.credential_id) == (
        world.at_acme.id,
        world.acme.id,
        world.acme_key.id,
    )
    assert (attempt.number, attempt.status, attempt.outcome, attempt.error) == (1, 200, "ok", None)
    assert (attempt.tokens.input, attempt.tokens.output) == (3, 8)
    assert attempt.started_at.tzinfo is not None


async def test_every_way_to_end_is_told_apart(
    world: World, tmp_path: Path, bus: LocalBus, simulator: Simulator
) -> None:
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        await router.complete(stream=True)
        simulator.openai.misbehave(Fault(status=500))
        await router.complete()
        simulator.openai.misbehave(Fault(cut_after_tokens=2, tokens_per_second=100))
        await router.complete(stream=True)
        simulator.openai.misbehave(Fault(context_length_exceeded=True))
        await router.complete()
        await router.complete(model="unknown")
        simulator.openai.misbehave(Fault(tokens_per_second=5, reply_tokens=1000))
        async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
            await anext(answer.aiter_bytes())
        simulator.openai.misbehave(Fault(accept_and_hang=True))
        seen = len(simulator.openai.exchanges)
        asking = asyncio.create_task(router.complete())
        await eventually(lambda: len(simulator.openai.exchanges) > seen)
        asking.cancel()
        told = await listener.heard(7)

    outcomes = [(each.status, each.outcome, [attempt.outcome for attempt in each.attempts]) for each in told]
    assert outcomes == [
        (200, "ok", ["ok"]),
        (200, "ok", ["failed", "ok"]),
        (200, "cut", ["cut"]),
        (400, "failed", ["failed"]),
        (404, "failed", []),
        (200, "cancelled", ["cancelled"]),
        (499, "cancelled", ["cancelled"]),
    ]
    assert told[0].attempts[0].tokens == Tokens(input=3, output=8)
    assert told[0].attempts[0].first_token_ms is not None
    assert told[1].attempts[0].error == "answered 500"


def an_entry() -> entries.RequestEntry:
    return entries.RequestEntry(
        id=new_id(),
        access_key_id=new_id(),
        asked_for="gpt-4o",
        is_stream=False,
        started_at=datetime.now(UTC),
        latency_ms=1,
        status=200,
        outcome="ok",
        attempts=[],
        catalog_revision=1,
    )


def a_ledger(path: Path, bus: LocalBus) -> tuple[Ledger, Spool, Bus]:
    """Begin one with a spool and a connection of its own; the caller stops the connection."""
    spool, connection = Spool(path, most_bytes=1024 * 1024), Bus(bus.url, service="router")
    spool.open()
    connection.start()
    return Ledger(spool, connection, router_id="r", run_id=new_id()), spool, connection


async def test_many_requests_travel_in_few_messages(tmp_path: Path, bus: LocalBus) -> None:
    ledger, _, connection = a_ledger(tmp_path, bus)
    made = [an_entry() for _ in range(1000)]
    for entry in made:
        ledger.record(entry)
    await connection.connected()

    await ledger.write()
    await ledger.publish()
    async with listening(bus) as listener:
        told = await listener.heard(1000)
    await connection.stop()

    assert [request.id for request in told] == [entry.id for entry in made]
    assert len(listener.messages) == 4


class SlowSpool(Spool):
    """A spool whose disk waits for the test."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, most_bytes=1024 * 1024)
        self.is_appending, self.may_append = threading.Event(), threading.Event()

    def append(self, batches: Iterable[Batch]) -> None:
        self.is_appending.set()
        self.may_append.wait(10)
        super().append(batches)


async def test_usage_that_is_being_written_at_the_end_is_not_written_again(tmp_path: Path) -> None:
    spool = SlowSpool(tmp_path)
    spool.open()
    ledger = Ledger(spool, Bus("nats://127.0.0.1:9", service="router"), router_id="r", run_id=new_id())
    entry = an_entry()
    ledger.record(entry)
    writing = asyncio.create_task(ledger.write())
    await eventually(spool.is_appending.is_set)

    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    late = an_entry()
    ledger.record(late)
    last = asyncio.create_task(ledger.write())
    spool.may_append.set()
    await last

    bodies = [json.loads(each.batch.body)["requests"] for each in spool.oldest(10)]
    assert [[request["id"] for request in body] for body in bodies] == [[str(entry.id)], [str(late.id)]]


async def test_usage_names_the_trace_that_its_caller_keeps(world: World, tmp_path: Path, bus: LocalBus) -> None:
    trace_id = uuid4().hex
    parents = [f"00-{trace_id}-00f067aa0ba902b7-{flag}" for flag in ("01", "00")]
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        for parent in (*parents, "nonsense", None):
            headers = {} if parent is None else {"traceparent": parent}
            answer = await router.http.post("/v1/chat/completions", json=PROMPT, headers=headers)
            assert answer.status_code == 200
        requests = await listener.heard(4)

    assert [each.trace_id for each in sorted(requests, key=lambda each: each.id)] == [trace_id, None, None, None]


async def test_traces_tell_why_an_answer_ended_and_nothing_that_was_said_nor_any_key(
    world: World, tmp_path: Path, bus: LocalBus, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, told = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(told))
    monkeypatch.setattr("modelbus.router.journey.spans.tracer", lambda: provider.get_tracer("test"))
    simulator.openai.misbehave(Fault(status=401, body={"error": {"message": "no, sim-openai-key-1"}}))
    tracing: dict[str, Any] = {"traces_url": "http://127.0.0.1:9", "traces_share": 1.0}
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url, **tracing) as router:
        answer = await router.complete()
        await listener.heard(1)

    said = answer.json()["choices"][0]["message"]["content"]
    failed, served, whole = told.get_finished_spans()
    assert [dict(span.attributes or {}).get("gen_ai.response.finish_reasons") for span in (failed, served, whole)] == [
        None,
        ("stop",),
        None,
    ]
    written = "".join(span.to_json() for span in (failed, served, whole))
    hidden = ("one two three", said, KEY, "sim-openai-key-1", "sim-openrouter-key-1")
    assert [each for each in hidden if each in written] == []
    provider.shutdown()


@pytest.mark.parametrize("share", [0.0, 1.0])
async def test_usage_names_the_trace_that_is_told_of_a_share_of_the_requests(
    world: World, tmp_path: Path, bus: LocalBus, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    # A lot that this sampler draws itself never wins: what is told was chosen before.
    provider, told = TracerProvider(sampler=ParentBased(Share(0.0))), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(told))
    monkeypatch.setattr("modelbus.router.journey.spans.tracer", lambda: provider.get_tracer("test"))
    tracing: dict[str, Any] = {"traces_url": "http://127.0.0.1:9", "traces_share": share}
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url, **tracing) as router:
        await router.complete()
        [request] = await listener.heard(1)

    spans = told.get_finished_spans()
    assert [span.kind for span in spans] == ([SpanKind.CLIENT, SpanKind.SERVER] if share else [])
    traces = {format_trace_id(span.context.trace_id) for span in spans}
    assert traces == ({request.trace_id} if share else set())
    assert (request.trace_id is None) == (not share)
    provider.shutdown()


async def test_strangers_leave_no_trace(world: World, tmp_path: Path, bus: LocalBus) -> None:
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        await router.http.post("/v1/chat/completions", json=PROMPT, headers={"Authorization": "Bearer wrong"})
        await router.complete()
        told = await listener.heard(1)

    assert len(told) == 1


async def test_usage_outlives_a_bus_that_is_away_and_a_restart(world: World, tmp_path: Path, bus: LocalBus) -> None:
    async with running_router(tmp_path, world.seed) as router:
        made = {(await router.complete()).headers["x-request-id"] for _ in range(5)}

    async with listening(bus) as listener, running_router(tmp_path, nats_url=bus.url) as router:
        told = await listener.heard(5)
        await eventually(lambda: not _spooled(tmp_path))

    assert {str(request.id) for request in told} == made


async def test_usage_outlives_a_bus_that_dies_between(world: World, tmp_path: Path, bus: LocalBus) -> None:
    async with running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        made = {(await router.complete()).headers["x-request-id"]}
        bus.server.kill()
        made |= {(await router.complete()).headers["x-request-id"] for _ in range(3)}
        await eventually(lambda: _spooled(tmp_path))
        bus.server.restart()
        async with listening(bus) as listener:
            await eventually(lambda: {str(request.id) for request in listener.requests} == made)
            await eventually(lambda: not _spooled(tmp_path))


async def test_what_the_stream_has_not_acknowledged_stays_on_disk(tmp_path: Path, bus: LocalBus) -> None:
    bus.wipe()
    ledger, spool, connection = a_ledger(tmp_path, bus)
    ledger.record(an_entry())
    await ledger.write()
    await connection.connected()

    with pytest.raises(NotFoundError):
        await ledger.publish()
    kept = spool.oldest(10)
    await bus.lay_topology()
    await ledger.publish()
    left = spool.oldest(10)
    await connection.stop()

    assert (len(kept), left) == (1, [])


async def test_what_a_bus_lost_that_was_told_just_before_is_told_again_once_under_its_own_id(
    tmp_path: Path, bus: LocalBus, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, _, connection = a_ledger(tmp_path, bus)
    ledger.record(entry := an_entry())
    await ledger.write()
    await connection.connected()
    await ledger.publish()
    async with listening(bus) as listener:
        assert [each.id for each in await listener.heard(1)] == [entry.id]
        before = listener.messages[0].headers
    await ledger.publish()
    bus.wipe()
    await bus.lay_topology()
    await eventually(lambda: connection.is_connected)
    for _ in range(2):
        await ledger.publish()
    ledger.record(late := an_entry())
    await ledger.write()
    await ledger.publish()

    async with listening(bus) as listener:
        assert [each.id for each in await listener.heard(2)] == [entry.id, late.id]
        assert listener.messages[0].headers == before
    assert capsys.readouterr().out.count("told again") == 1
    await connection.stop()


async def test_a_stream_that_is_made_anew_while_the_connection_stays_is_noticed_by_looking_now_and_then(
    tmp_path: Path, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, _, connection = a_ledger(tmp_path, bus)
    ledger.record(an_entry())
    await ledger.write()
    client = await connection.connected()
    await ledger.publish()
    context, before = client.jetstream(), client.stats["out_msgs"]
    await ledger.publish()
    assert client.stats["out_msgs"] == before
    config = (await context.stream_info("USAGE")).config
    await context.delete_stream("USAGE")
    await context.add_stream(config)

    await ledger.publish()
    assert (await context.stream_info("USAGE")).state.messages == 0
    monkeypatch.setattr("modelbus.router.ledger.looking.LOOK_EVERY_S", 0.0)
    await ledger.publish()
    assert (await context.stream_info("USAGE")).state.messages == 1
    await connection.stop()


def test_what_was_told_is_kept_for_a_minute_and_as_far_as_there_is_room() -> None:
    batches = [Batch(new_id(), datetime.now(UTC), b"{}") for _ in range(4)]
    lines = [line_of(batch) for batch in batches]
    told, stream, fresh = Told(most_bytes=3 * len(lines[0])), *(datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2))
    assert list(told.lost_by(stream)) == []
    told.is_told_to(stream)
    told.keep(lines[:3], 0.0)
    assert list(told.lost_by(stream)) == []
    assert list(told.lost_by(fresh)) == batches[:3]
    told.keep(lines[3:], 30.0)
    assert list(told.lost_by(fresh)) == batches[1:]
    told.keep((), KEPT_S)
    assert list(told.lost_by(fresh)) == batches[3:]


@pytest.mark.parametrize(
    ("record", "entry"),
    [
        (RequestRecord, entries.RequestEntry),
        (AttemptRecord, entries.AttemptEntry),
        (Tokens, entries.Tokens),
    ],
)
def test_entries_have_the_fields_of_the_contract(record: type[BaseModel], entry: type[msgspec.Struct]) -> None:
    assert list(entry.__struct_fields__) == list(record.model_fields)


def _spooled(state_dir: Path) -> int:
    return sum(path.stat().st_size for path in (state_dir / "usage").glob("*.spool"))


async def test_a_stale_step_that_was_passed_over_is_told_even_where_nobody_served(
    world: World, tmp_path: Path, bus: LocalBus
) -> None:
    gone = world.seed.model("gone", is_available=False, reason="delisted")
    first, only = world.seed.chain("first", gone, world.model), world.seed.chain("only", gone)
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        answers = [await router.complete(model=chain.name) for chain in (first, only)]
        told = await listener.heard(2)

    assert [answer.status_code for answer in answers] == [200, 503]
    for chain, request in zip((first, only), told, strict=True):
        [skipped] = request.skipped
        assert (skipped.reference_kind, skipped.owner_id, skipped.reason) == ("chain", chain.id, "delisted")
        assert (skipped.step_id, skipped.target_id) == (chain.steps[0].id, gone.id)


async def test_of_many_stale_places_each_request_tells_a_few_and_all_are_told_in_time(
    world: World, tmp_path: Path, bus: LocalBus
) -> None:
    gone = [world.seed.model(f"gone-{number}", is_available=False, reason="delisted") for number in range(30)]
    chain = world.seed.chain("long", *gone, world.model)
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        for _ in range(40):
            await router.complete(model=chain.name)
        told = await listener.heard(40)

    for request in told:
        assert len({skipped.step_id for skipped in request.skipped}) == len(request.skipped) == MOST_SKIPPED
    assert {skipped.target_id for request in told for skipped in request.skipped} == {model.id for model in gone}


async def test_a_default_that_is_not_available_is_told_and_a_model_that_the_caller_names_is_not(
    world: World, tmp_path: Path, bus: LocalBus
) -> None:
    gone = world.seed.model("gone", is_available=False, reason="delisted", is_default=True)
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        answers = [await router.http.post("/v1/chat/completions", json={"messages": PROMPT["messages"]})]
        answers.append(await router.complete(model="gone"))
        unnamed, named = await listener.heard(2)

    assert [answer.json()["error"]["message"] for answer in answers] == ["'gone' is not available: delisted"] * 2
    [skipped] = unnamed.skipped
    assert (skipped.reference_kind, skipped.owner_id, skipped.target_id) == ("model", gone.id, gone.id)
    assert (skipped.step_id, skipped.reason, named.skipped) == (None, "delisted", [])
