"""The official openai client for Node, unchanged; it is installed once, from the registry that npm knows."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modelbus.simulator import Fault, Simulator
from node_packages import NODE, install, run
from router.claude import CLAUDE, GPT, KEY_FOR_NOTHING, both, provider_of, two_protocols
from router.routers import KEY, running_router
from router.test_translated_streams import MESSAGE
from running import eventually

FILES = Path(__file__).parent / "node"

type Call = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
async def installed(pytestconfig: pytest.Config) -> Path:
    return await install(pytestconfig, FILES)


@pytest.fixture
async def call(installed: Path, simulator: Simulator, tmp_path: Path) -> AsyncIterator[Call]:
    async with running_router(tmp_path, two_protocols(simulator).seed) as router:

        async def made(name: str, model: str, key: str = KEY) -> dict[str, Any]:
            told = await run(NODE, installed / "calls.mjs", name, router.url, key, model, within=installed)
            answer: dict[str, Any] = json.loads(told)
            return answer

        yield made


@both
async def test_a_completion_is_answered(call: Call, model: str) -> None:
    choice = (await call("chat", model))["answer"]

    assert choice["message"]["content"].startswith(f"Hello from {model}")
    assert choice["finish_reason"] == "stop"


@both
async def test_a_completion_is_streamed(call: Call, model: str) -> None:
    assert (await call("stream", model))["answer"].startswith(f"Hello from {model}")


@both
async def test_a_streamed_call_of_a_tool_is_accumulated(call: Call, model: str) -> None:
    answer = (await call("tools", model))["answer"]

    [function] = answer["functions"]
    assert answer["finish_reason"] == "tool_calls"
    assert (function["name"], json.loads(function["arguments"])) == ("weather", {"city": "text"})


async def test_parallel_calls_of_tools_are_accumulated_from_anthropics_pieces(call: Call, simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(body=MESSAGE.decode(), content_type="text/event-stream"))

    functions = (await call("tools", CLAUDE))["answer"]["functions"]

    assert [(each["name"], each["arguments"]) for each in functions] == [("f", '{"city": "Rome"}'), ("g", "{}")]


@both
async def test_vision_parts_reach_the_supplier(call: Call, simulator: Simulator, model: str) -> None:
    await call("vision", model)

    assert b"iVBORw0KGgo=" in provider_of(simulator, model).exchanges[-1].body


async def test_structured_output_is_parsed(call: Call, simulator: Simulator) -> None:
    said = {"role": "assistant", "content": '{"city": "Rome"}', "refusal": None}
    choices = [{"index": 0, "message": said, "finish_reason": "stop"}]
    simulator.openai.misbehave(Fault(body={"id": "c", "object": "chat.completion", "choices": choices}))

    assert (await call("structured", GPT))["answer"] == {"city": "Rome"}


async def test_embeddings_are_answered(call: Call) -> None:
    assert (await call("embeddings", "text-embedding-3-small"))["answer"] == [4, 4]


async def test_models_are_listed(call: Call) -> None:
    assert (await call("models", ""))["answer"] == [CLAUDE, "either", GPT, "text-embedding-3-small"]


async def test_responses_are_answered(call: Call, simulator: Simulator) -> None:
    content = [{"type": "output_text", "text": "Hi", "annotations": []}]
    output = [{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}]
    simulator.openai.misbehave(Fault(body={"id": "r", "object": "response", "output": output}))

    assert (await call("responses", GPT))["answer"] == "Hi"


async def test_a_wrong_key_one_for_nothing_and_an_unknown_model_are_their_own_errors(call: Call) -> None:
    refused = (await call("chat", GPT, key="wrong"))["error"]
    forbidden = (await call("chat", GPT, key=KEY_FOR_NOTHING))["error"]
    unknown = (await call("chat", "nobody"))["error"]

    assert (refused["name"], refused["status"], refused["code"]) == ("AuthenticationError", 401, "invalid_api_key")
    assert (forbidden["name"], forbidden["status"]) == ("PermissionDeniedError", 403)
    assert (unknown["name"], unknown["status"], unknown["param"]) == ("NotFoundError", 404, "model")


@both
async def test_the_suppliers_complaint_and_its_failure_are_their_own_errors(
    call: Call, simulator: Simulator, model: str
) -> None:
    provider_of(simulator, model).misbehave(Fault(context_length_exceeded=True))
    refused = (await call("chat", model))["error"]
    provider_of(simulator, model).misbehave(Fault(status=500))
    failed = (await call("chat", model))["error"]

    assert (refused["name"], refused["status"]) == ("BadRequestError", 400)
    assert (failed["name"], failed["status"]) == ("InternalServerError", 502)


async def test_its_own_retry_waits_as_long_as_it_is_told_and_is_served(call: Call, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(status=429, headers={"retry-after": "1"}), times=1)
    began = asyncio.get_running_loop().time()

    choice = (await call("retry", GPT))["answer"]

    assert choice["finish_reason"] == "stop"
    assert asyncio.get_running_loop().time() - began >= 1


@both
async def test_a_stream_that_is_cut_raises(call: Call, simulator: Simulator, model: str) -> None:
    provider_of(simulator, model).misbehave(Fault(cut_after_tokens=2, tokens_per_second=100))

    assert "broke off" in (await call("stream", model))["error"]["message"]


@both
async def test_leaving_a_stream_cancels_it_at_the_supplier(call: Call, simulator: Simulator, model: str) -> None:
    provider = provider_of(simulator, model)
    provider.misbehave(Fault(tokens_per_second=20, reply_tokens=1000))

    await call("leave", model)

    await eventually(lambda: provider.exchanges[-1].client_disconnected)


async def test_the_headers_are_there_with_the_raw_response(call: Call) -> None:
    answer = (await call("headers", GPT))["answer"]

    assert answer["attempts"] == "1"
    assert answer["request_id"]
