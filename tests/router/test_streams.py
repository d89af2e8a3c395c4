import json
from pathlib import Path
from typing import Any

import openai
import pytest

from modelbus.simulator import Fault, Simulator
from router.routers import MESSAGES, RunningRouter, running_router
from router.world import World


def events_of(text: str) -> list[Any]:
    payloads = [event.removeprefix("data: ") for event in text.split("\n\n") if event.startswith("data: ")]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(cut_after_tokens=2, tokens_per_second=100),
        Fault(error_after_tokens=2, tokens_per_second=100),
        Fault(malformed_chunk_at=3, tokens_per_second=100),
        Fault(missing_finish_reason=True, tokens_per_second=100),
        Fault(missing_finish_reason=True, missing_done=True, tokens_per_second=100),
    ],
    ids=lambda fault: str(fault.to_json()),
)
async def test_a_stream_that_breaks_after_the_first_token_ends_in_an_error_event(
    router: RunningRouter, simulator: Simulator, fault: Fault
) -> None:
    simulator.openai.misbehave(fault)

    answer = await router.complete(stream=True)

    *tokens, last = events_of(answer.text)
    assert answer.status_code == 200
    assert tokens[1]["choices"][0]["delta"]["content"] == "Hello"
    assert last["error"]["code"] == "upstream_failed"
    assert "[DONE]" not in answer.text
    assert not simulator.openrouter.exchanges


async def test_a_stream_that_stalls_ends_in_an_error_event(world: World, tmp_path: Path, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(stall_after_tokens=2))
    async with running_router(tmp_path, world.seed, stall_s=1) as router:
        answer = await router.complete(stream=True)

    assert events_of(answer.text)[-1]["error"]["code"] == "upstream_timeout"


async def test_a_stream_longer_than_the_time_in_all_ends_in_an_error_event(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(tokens_per_second=10, reply_tokens=1000))
    async with running_router(tmp_path, world.seed, total_s=0.4) as router:
        answer = await router.complete(stream=True)

    assert events_of(answer.text)[-1]["error"]["code"] == "upstream_timeout"


async def test_the_official_client_raises_on_a_stream_that_was_cut(router: RunningRouter, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(cut_after_tokens=2, tokens_per_second=100))
    stream = await router.sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)

    with pytest.raises(openai.APIError, match="broke off"):
        _ = [chunk async for chunk in stream]


async def test_a_finished_stream_without_done_is_ended_well(router: RunningRouter, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(missing_done=True))

    answer = await router.complete(stream=True)

    assert events_of(answer.text)[-1] == "[DONE]"
    assert '"error"' not in answer.text


async def test_a_stream_arrives_token_by_token(router: RunningRouter, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(tokens_per_second=20))
    stream = await router.sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)

    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break

    assert not simulator.openai.exchanges[-1].is_finished
    await stream.close()


async def test_the_suppliers_headers_stay_with_it(router: RunningRouter, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(headers={"Set-Cookie": "a=1", "X-Internal": "yes"}))

    answers = [await router.complete(), await router.complete(stream=True)]

    for answer in answers:
        assert answer.status_code == 200
        assert not {"set-cookie", "x-internal"} & set(answer.headers)


async def test_one_connection_carries_streams_one_after_another(router: RunningRouter, simulator: Simulator) -> None:
    peers = set()
    for _ in range(3):
        answer = await router.complete(stream=True)
        peers.add(answer.extensions["network_stream"].get_extra_info("client_addr"))

    assert len(peers) == 1
    assert len(simulator.openai.exchanges) == 3
