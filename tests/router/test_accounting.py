"""What is told of the tokens of each attempt, whatever the protocol, and however it ended."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from modelbus.contracts.records import CostPrices
from modelbus.contracts.usage import RequestRecord, Tokens
from modelbus.router.ledger import entries
from modelbus.router.wire.completions import read_completion
from modelbus.simulator import Fault, Simulator
from router.claude import CLAUDE, GPT, Sdks, TwoProtocols, running_sdks, two_protocols
from router.test_usage import Listener, listening
from testing_bus import LocalBus

HELLO: list[Any] = [{"role": "user", "content": "one two three"}]


@pytest.fixture
def catalog(simulator: Simulator) -> TwoProtocols:
    return two_protocols(simulator)


@pytest.fixture
async def listener(bus: LocalBus) -> AsyncIterator[Listener]:
    async with listening(bus) as hearing:
        yield hearing


@pytest.fixture
async def sdks(catalog: TwoProtocols, tmp_path: Path, bus: LocalBus) -> AsyncIterator[Sdks]:
    async with running_sdks(tmp_path, catalog.seed, nats_url=bus.url) as open_sdks:
        yield open_sdks


async def tokens_of_each(listener: Listener, count: int) -> list[Tokens]:
    told: list[RequestRecord] = await listener.heard(count)
    return [request.attempts[-1].tokens for request in told]


async def test_both_protocols_tell_the_same_kinds_on_both_paths_streamed_or_not(listener: Listener, sdks: Sdks) -> None:
    for model in (CLAUDE, GPT):
        for stream in (False, True):
            chat = {"model": model, "messages": HELLO, "stream": stream}
            await sdks.http.post("/v1/chat/completions", json=chat)
            await sdks.http.post("/v1/messages", json=chat | {"max_tokens": 100})

    told = await tokens_of_each(listener, 8)

    assert [(each.input, each.output, each.is_estimated) for each in told] == [(3, 8, False)] * 8


async def test_other_endpoints_tell_their_tokens_too(listener: Listener, sdks: Sdks, simulator: Simulator) -> None:
    usage = {"input_tokens": 4, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2}}
    ended = {"type": "response.completed", "response": {"usage": usage, "service_tier": "flex"}}
    stream = f"data: {json.dumps(ended)}\n\n"
    simulator.openai.misbehave(Fault(body=stream, content_type="text/event-stream"), times=1)
    await sdks.http.post("/v1/responses", json={"model": GPT, "input": "hi", "stream": True})
    await sdks.openai.embeddings.create(model="text-embedding-3-small", input="two words")

    responses, embeddings = await tokens_of_each(listener, 2)

    assert responses == Tokens(input=4, cached_input=None, output=3, reasoning=2, billed_apart=["service_tier"])
    assert embeddings == Tokens(input=2)


async def test_a_stream_that_tells_no_usage_is_estimated_and_marked(
    listener: Listener, sdks: Sdks, simulator: Simulator
) -> None:
    def chunk(delta: dict[str, str], reason: str | None = None) -> str:
        return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}]})}\n\n"

    stream = "".join(chunk({"content": "sixteen letters."}) for _ in range(10)) + chunk({}, "stop") + "data: [DONE]\n\n"
    simulator.openai.misbehave(Fault(body=stream, content_type="text/event-stream"))
    prompt = [{"role": "user", "content": "word " * 80}]

    await sdks.http.post("/v1/chat/completions", json={"model": GPT, "messages": prompt, "stream": True})
    [tokens] = await tokens_of_each(listener, 1)

    assert tokens.is_estimated
    assert tokens.output == 40
    assert tokens.input is not None
    assert 100 <= tokens.input <= 115


async def test_a_whole_answer_that_tells_no_usage_is_estimated_alike(
    listener: Listener, sdks: Sdks, simulator: Simulator
) -> None:
    said = {"index": 0, "message": {"role": "assistant", "content": "sixteen letters." * 10}, "finish_reason": "stop"}
    simulator.openai.misbehave(Fault(body={"id": "1", "object": "chat.completion", "choices": [said]}), times=1)
    prompt = [{"role": "user", "content": "word " * 80}]

    await sdks.http.post("/v1/chat/completions", json={"model": GPT, "messages": prompt})
    [tokens] = await tokens_of_each(listener, 1)

    assert tokens.is_estimated
    assert tokens.output == 40
    assert tokens.input is not None
    assert 100 <= tokens.input <= 115


async def reasons_of_each(listener: Listener, count: int) -> list[str | None]:
    return [request.attempts[-1].end_reason for request in await listener.heard(count)]


async def test_why_an_answer_ended_is_told_in_the_suppliers_word_on_both_paths_streamed_or_not(
    listener: Listener, sdks: Sdks
) -> None:
    for model in (CLAUDE, GPT):
        for stream in (False, True):
            for path in ("/v1/chat/completions", "/v1/messages"):
                for most in (100, 3):
                    asked = {"model": model, "messages": HELLO, "stream": stream, "max_tokens": most}
                    await sdks.http.post(path, json=asked)

    reasons = await reasons_of_each(listener, 16)

    assert reasons == ["end_turn", "max_tokens"] * 4 + ["stop", "length"] * 4


async def test_a_response_ends_by_its_status_or_by_what_it_lacks_and_embeddings_by_nothing(
    listener: Listener, sdks: Sdks, simulator: Simulator
) -> None:
    whole = {"object": "response", "status": "completed", "incomplete_details": None}
    short = {"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    for ended in (whole, short, {"status": "in_progress"}):
        simulator.openai.misbehave(Fault(body=ended), times=1)
        await sdks.http.post("/v1/responses", json={"model": GPT, "input": "hi"})
    for ended in (whole, short):
        event = {"type": f"response.{ended['status']}", "response": ended}
        stream = f"data: {json.dumps(event)}\n\n"
        simulator.openai.misbehave(Fault(body=stream, content_type="text/event-stream"), times=1)
        await sdks.http.post("/v1/responses", json={"model": GPT, "input": "hi", "stream": True})
    await sdks.openai.embeddings.create(model="text-embedding-3-small", input="two words")

    reasons = await reasons_of_each(listener, 6)

    assert reasons == ["completed", "max_output_tokens", None, "completed", "max_output_tokens", None]


async def test_a_stream_that_breaks_off_has_no_reason_to_have_ended_even_if_it_told_one(
    listener: Listener, sdks: Sdks, simulator: Simulator
) -> None:
    said = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]}
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = f'data: {json.dumps(said)}\n\ndata: {json.dumps(ended)}\n\ndata: {{"error": {{"message": "no"}}}}\n\n'
    simulator.openai.misbehave(Fault(body=stream, content_type="text/event-stream", slow_body_bytes_per_second=2000))
    await sdks.http.post("/v1/chat/completions", json={"model": GPT, "messages": HELLO, "stream": True})
    [request] = await listener.heard(1)

    [attempt] = request.attempts
    assert (attempt.outcome, attempt.end_reason) == ("cut", None)


@pytest.mark.parametrize(
    ("told", "recorded"), [("x" * 100, "x" * 64), ("a\nb", None), ("", None), (7, None), (None, None), ([], None)]
)
def test_a_reason_that_is_no_short_word_is_cut_or_left_out_and_the_answer_is_good(
    told: object, recorded: str | None
) -> None:
    body = json.dumps({"choices": [{"message": {}, "finish_reason": told}]}).encode()

    assert read_completion(body) == (body, entries.Tokens(), recorded)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("model", [CLAUDE, GPT])
async def test_what_was_streamed_to_a_caller_that_left_is_accounted(
    listener: Listener, sdks: Sdks, simulator: Simulator, path: str, model: str
) -> None:
    for provider in (simulator.openai, simulator.anthropic):
        provider.misbehave(Fault(tokens_per_second=200, reply_tokens=5000))
    asked = {"model": model, "max_tokens": 9000, "messages": HELLO, "stream": True}

    async with sdks.http.stream("POST", path, json=asked) as answer:
        seen = 0
        async for line in answer.aiter_lines():
            seen += line.startswith("data:")
            if seen == 30:
                break
    [tokens] = await tokens_of_each(listener, 1)

    assert tokens.is_estimated
    assert tokens.input is not None
    assert tokens.output is not None
    assert 20 <= tokens.output <= 2000, "of 5000, at 200 a second"


async def test_a_stream_that_breaks_off_is_accounted(listener: Listener, sdks: Sdks, simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(reply_tokens=60, cut_after_tokens=40, tokens_per_second=2000))

    await sdks.http.post("/v1/messages", json={"model": CLAUDE, "max_tokens": 99, "messages": HELLO, "stream": True})
    [request] = await listener.heard(1)

    [attempt] = request.attempts
    assert attempt.outcome == "cut"
    assert (attempt.tokens.input, attempt.tokens.is_estimated) == (3, True)
    assert attempt.tokens.output is not None
    assert 35 <= attempt.tokens.output <= 60


async def test_an_attempt_costs_what_its_source_bills(
    listener: Listener, catalog: TwoProtocols, simulator: Simulator, tmp_path: Path, bus: LocalBus
) -> None:
    supplier = catalog.seed.supplier("billing", simulator.base_url(simulator.openai))
    catalog.seed.credential(supplier, "sim-openai-key-1")
    cost = CostPrices(input=Decimal("2.5"), output=Decimal(10))
    catalog.seed.source(catalog.seed.model("billed"), supplier, GPT, cost=cost)

    async with running_sdks(tmp_path, catalog.seed, nats_url=bus.url) as sdks:
        await sdks.openai.chat.completions.create(model="billed", messages=HELLO)
        await sdks.openai.chat.completions.create(model=GPT, messages=HELLO)
        billed, unknown = await listener.heard(2)

    assert billed.attempts[0].cost == Decimal("0.0000875")
    assert unknown.attempts[0].cost is None


async def test_counting_without_a_supplier_is_no_failure(listener: Listener, sdks: Sdks) -> None:
    await sdks.anthropic.messages.count_tokens(model=GPT, messages=HELLO)
    [request] = await listener.heard(1)

    assert (request.status, request.outcome, request.attempts) == (200, "ok", [])
