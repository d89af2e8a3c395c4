"""Faults of streams: what has come so far is right, and then something isn't."""

import asyncio
import json
import time

import aiohttp
import pytest

from modelbus.simulator import Fault, Simulator
from simulator.asking import Asking, client_is_missed


async def lines_of(answer: aiohttp.ClientResponse) -> list[str]:
    return [line.decode().strip() async for line in answer.content if line.strip()]


async def lines_before_the_cut(answer: aiohttp.ClientResponse) -> list[str]:
    lines: list[str] = []

    async def read() -> None:
        while line := await answer.content.readline():
            lines.append(line.decode().strip())

    with pytest.raises(aiohttp.ClientPayloadError):
        await read()
    return lines


def said_in(lines: list[str]) -> list[str]:
    """The words of the tokens that can be read."""
    words = []
    for line in lines:
        try:
            content = json.loads(line.removeprefix("data: "))
        except ValueError:
            continue
        words += [(choice["delta"].get("content") or "").strip() for choice in content.get("choices", ())]
        words.append(content.get("delta", {}).get("text", "").strip())
    return [word for word in words if word]


async def next_token(answer: aiohttp.ClientResponse) -> str:
    while True:
        line = (await answer.content.readline()).decode().strip()
        if line.startswith("data: ") and (words := said_in([line])):
            return words[0]


@pytest.mark.parametrize("provider", ["openai", "openrouter", "anthropic"])
@pytest.mark.parametrize(("tokens", "said"), [(0, []), (2, ["Hello", "from"])])
async def test_a_cut_stream_ends_after_exactly_so_many_tokens(
    ask: Asking, simulator: Simulator, provider: str, tokens: int, said: list[str]
) -> None:
    getattr(simulator, provider).misbehave(Fault(cut_after_tokens=tokens))

    async with ask.of(provider, stream=True) as answer:
        lines = await lines_before_the_cut(answer)

    assert said_in(lines) == said
    assert answer.status == 200


async def test_a_stream_shorter_than_its_cut_is_cut_before_it_finishes(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(cut_after_tokens=100))

    async with ask.openai(stream=True) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_a_stalled_stream_is_silent_until_the_client_goes(
    ask: Asking, simulator: Simulator, provider: str
) -> None:
    getattr(simulator, provider).misbehave(Fault(stall_after_tokens=2, stall_seconds=60))

    async with ask.of(provider, stream=True) as answer:
        assert [await next_token(answer), await next_token(answer)] == ["Hello", "from"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(next_token(answer), 0.05)
        answer.close()

    assert await client_is_missed(getattr(simulator, provider))


async def test_a_stalled_stream_goes_on(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(stall_after_tokens=2, stall_seconds=0.05))

    async with ask.openai(stream=True) as answer:
        lines = await asyncio.wait_for(lines_of(answer), 0.5)

    assert len(said_in(lines)) == 8
    assert lines[-1] == "data: [DONE]"


async def test_the_first_token_waits_and_what_opens_the_stream_does_not(ask: Asking, simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(first_token_ms=60_000))

    async with ask.anthropic(stream=True) as answer:
        assert await answer.content.readline() == b"event: message_start\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(next_token(answer), 0.05)


async def test_tokens_keep_their_pace(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(tokens_per_second=50))
    arrivals = []

    async with ask.openai(stream=True) as answer:
        for _ in range(4):
            await next_token(answer)
            arrivals.append(time.monotonic())

    assert arrivals[-1] - arrivals[0] >= 0.05


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (Fault(malformed_chunk_at=3), "gpt-4o"),
        (Fault(truncated_json=True), "Hello"),
        (Fault(invalid_json=True), "Hello"),
    ],
)
async def test_a_malformed_chunk_loses_one_token_and_the_stream_goes_on(
    ask: Asking, simulator: Simulator, fault: Fault, lost: str
) -> None:
    simulator.openai.misbehave(fault)

    async with ask.openai(stream=True) as answer:
        lines = await lines_of(answer)

    words = ["Hello", "from", "gpt-4o", "at", "openai:", "3", "words", "heard"]
    assert said_in(lines) == [word for word in words if word != lost]
    assert lines[-1] == "data: [DONE]"


async def test_a_malformed_chunk_is_malformed_for_anthropic_too(ask: Asking, simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(malformed_chunk_at=1))

    async with ask.anthropic(stream=True) as answer:
        lines = await lines_of(answer)

    assert "Hello" not in said_in(lines)
    assert sum(line == "event: content_block_delta" for line in lines) == 8


@pytest.mark.parametrize(
    ("provider", "last"),
    [("openai", '"finish_reason": "stop"'), ("openrouter", '"finish_reason": "stop"'), ("anthropic", '"end_turn"')],
)
async def test_a_stream_can_end_without_its_end(ask: Asking, simulator: Simulator, provider: str, last: str) -> None:
    getattr(simulator, provider).misbehave(Fault(missing_done=True))

    async with ask.of(provider, stream=True) as answer:
        lines = await lines_of(answer)

    assert last in lines[-1]


@pytest.mark.parametrize(("provider", "end"), [("openai", "data: [DONE]"), ("anthropic", "message_stop")])
async def test_a_stream_can_end_without_saying_why(ask: Asking, simulator: Simulator, provider: str, end: str) -> None:
    getattr(simulator, provider).misbehave(Fault(missing_finish_reason=True))

    async with ask.of(provider, stream=True) as answer:
        lines = await lines_of(answer)

    assert end in lines[-1]
    assert not [line for line in lines if '"stop"' in line or "end_turn" in line]


async def test_a_completion_can_lack_its_finish_reason(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(missing_finish_reason=True))
    simulator.anthropic.misbehave(Fault(missing_finish_reason=True))

    async with ask.openai() as answer:
        assert (await answer.json())["choices"][0]["finish_reason"] is None
    async with ask.anthropic() as answer:
        assert (await answer.json())["stop_reason"] is None


@pytest.mark.parametrize("provider", ["openai", "openrouter", "anthropic"])
async def test_a_stream_can_break_off_with_an_error_event(ask: Asking, simulator: Simulator, provider: str) -> None:
    getattr(simulator, provider).misbehave(Fault(error_after_tokens=1))

    async with ask.of(provider, stream=True) as answer:
        lines = await lines_of(answer)

    assert said_in(lines) == ["Hello"]
    assert "error" in json.loads(lines[-1].removeprefix("data: "))


async def test_a_stream_can_be_called_something_else(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(content_type="application/json"))

    async with ask.openai(stream=True) as answer:
        assert answer.content_type == "application/json"
        assert len(said_in(await lines_of(answer))) == 8


async def test_a_long_stream_leaves_room_for_others(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(reply_tokens=20_000), path="chat")

    async with ask.openai(stream=True) as answer:
        await next_token(answer)
        async with ask.models() as listing:
            assert listing.status == 200
        assert not simulator.openai.exchanges[0].is_finished
        answer.close()


async def test_a_client_that_leaves_a_stream_is_missed(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(tokens_per_second=1))

    async with ask.openai(stream=True) as answer:
        await next_token(answer)
        answer.close()

    assert await client_is_missed(simulator.openai)
    assert simulator.openai.exchanges[-1].status == 200
