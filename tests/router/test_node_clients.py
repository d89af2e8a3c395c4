"""The official openai and anthropic clients for Node, unchanged, in one process; installed once, by the lock file."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modelbus.simulator import Fault, Simulator
from node_packages import NODE, install
from router.claude import CLAUDE, GPT, KEY_FOR_NOTHING, both, provider_of, two_protocols
from router.routers import KEY, running_router
from router.test_translated_streams import CHUNKS, MESSAGE
from running import eventually

FILES = Path(__file__).parent / "node"
KEY_FOR_ONE = "mb-one-a-minute"
PATIENCE_S = 20

type Call = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="module")
async def node(pytestconfig: pytest.Config) -> AsyncIterator[Process]:
    installed = await install(pytestconfig, FILES)
    process = await asyncio.create_subprocess_exec(NODE, installed / "calls.mjs", stdin=PIPE, stdout=PIPE)
    yield process
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


@pytest.fixture
async def call(node: Process, simulator: Simulator, tmp_path: Path) -> AsyncIterator[Call]:
    seed = two_protocols(simulator).seed
    seed.key(KEY_FOR_ONE, rpm_limit=1)
    async with running_router(tmp_path, seed) as router:

        async def made(name: str, model: str, **options: Any) -> dict[str, Any]:
            asked = {"client": "openai", "router": router.url, "apiKey": KEY, "retries": 0}
            return await _asked(node, asked | {"call": name, "model": model} | options)

        yield made


@pytest.fixture
def message(call: Call) -> Call:
    """Calls of the anthropic client."""

    async def made(name: str, model: str, **options: Any) -> dict[str, Any]:
        return await call(name, model, client="anthropic", **options)

    return made


async def _asked(node: Process, asked: dict[str, Any]) -> dict[str, Any]:
    assert node.stdin is not None
    assert node.stdout is not None
    node.stdin.write(json.dumps(asked).encode() + b"\n")
    answer: dict[str, Any] = json.loads(await asyncio.wait_for(node.stdout.readline(), PATIENCE_S))
    assert "broken" not in answer, answer["broken"]
    return answer


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


async def test_responses_are_streamed(call: Call, simulator: Simulator) -> None:
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "r", "object": "response", "output": []}},
        {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "delta": "Hi"},
        {"type": "response.completed", "response": {"id": "r", "object": "response", "output": []}},
    ]
    numbered = (json.dumps({**event, "sequence_number": number}) for number, event in enumerate(events))
    body = "".join(f"event: {json.loads(each)['type']}\ndata: {each}\n\n" for each in numbered)
    simulator.openai.misbehave(Fault(body=body, content_type="text/event-stream"))

    assert (await call("respond", GPT))["answer"] == ["response.created", "Hi", "response.completed"]


async def test_a_limit_that_is_reached_is_its_own_error_and_says_when_to_come_again(call: Call) -> None:
    await call("chat", GPT, apiKey=KEY_FOR_ONE)
    refused = (await call("chat", GPT, apiKey=KEY_FOR_ONE))["error"]

    assert (refused["name"], refused["status"], refused["code"]) == ("RateLimitError", 429, "rate_limit_exceeded")
    assert 50 <= int(refused["waits"]) <= 60


async def test_a_wrong_key_one_for_nothing_and_an_unknown_model_are_their_own_errors(call: Call) -> None:
    refused = (await call("chat", GPT, apiKey="wrong"))["error"]
    forbidden = (await call("chat", GPT, apiKey=KEY_FOR_NOTHING))["error"]
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

    choice = (await call("chat", GPT, retries=1))["answer"]

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


@both
async def test_a_message_is_answered(message: Call, model: str) -> None:
    answer = (await message("message", model))["answer"]

    [block] = answer["content"]
    assert block["text"].startswith(f"Hello from {model}")
    assert (answer["type"], answer["stop_reason"], answer["usage"]["output_tokens"]) == ("message", "end_turn", 8)


@both
async def test_a_streamed_message_is_accumulated(message: Call, model: str) -> None:
    answer = (await message("stream", model))["answer"]

    whole, kinds = answer["message"], answer["kinds"]
    assert whole["content"][0]["text"].startswith(f"Hello from {model}")
    assert (whole["stop_reason"], whole["usage"]["output_tokens"]) == ("end_turn", 8)
    assert kinds[0] == "message_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@both
async def test_a_tool_is_called_whole_and_streamed_and_its_result_taken(message: Call, model: str) -> None:
    for name in ("tools", "streamedTools"):
        answer = (await message(name, model))["answer"]
        [called] = answer["content"]
        assert (called["type"], called["name"], called["input"]) == ("tool_use", "weather", {"city": "text"})
        assert answer["stop_reason"] == "tool_use"

    assert (await message("result", model))["answer"]["stop_reason"] == "end_turn"


async def test_parallel_calls_of_tools_are_accumulated_from_openais_pieces(message: Call, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(body=CHUNKS.decode(), content_type="text/event-stream"))

    _, _, *calls = (await message("streamedTools", GPT))["answer"]["content"]

    assert [(each["name"], each["input"]) for each in calls] == [("f", {"city": "Rome"}), ("g", {})]


async def test_tokens_of_a_message_are_counted(message: Call) -> None:
    assert (await message("count", CLAUDE))["answer"] == {"input_tokens": 3}


async def test_what_is_refused_is_an_error_of_the_anthropic_client(message: Call) -> None:
    refused = (await message("message", CLAUDE, apiKey="wrong"))["error"]
    forbidden = (await message("message", CLAUDE, apiKey=KEY_FOR_NOTHING))["error"]
    unknown = (await message("message", "nobody"))["error"]
    await message("message", CLAUDE, apiKey=KEY_FOR_ONE)
    limited = (await message("message", CLAUDE, apiKey=KEY_FOR_ONE))["error"]

    errors = [refused, forbidden, unknown, limited]
    assert [(each["name"], each["status"], each["type"]) for each in errors] == [
        ("AuthenticationError", 401, "authentication_error"),
        ("PermissionDeniedError", 403, "permission_error"),
        ("NotFoundError", 404, "not_found_error"),
        ("RateLimitError", 429, "rate_limit_error"),
    ]
    assert 50 <= int(limited["waits"]) <= 60
    assert all(each["requestID"] for each in errors)


@both
async def test_what_fails_at_the_supplier_is_an_error_of_the_anthropic_client(
    message: Call, simulator: Simulator, model: str
) -> None:
    supplier = provider_of(simulator, model)
    supplier.misbehave(Fault(context_length_exceeded=True))
    refused = (await message("message", model))["error"]
    supplier.misbehave(Fault(status=500))
    failed = (await message("message", model))["error"]
    supplier.misbehave(Fault(cut_after_tokens=2, tokens_per_second=100))
    cut = (await message("stream", model))["error"]

    assert (refused["name"], refused["type"]) == ("BadRequestError", "invalid_request_error")
    assert (failed["name"], failed["status"], failed["type"]) == ("InternalServerError", 502, "api_error")
    assert "broke off" in cut["message"]


@both
async def test_leaving_a_streamed_message_cancels_it_at_the_supplier(
    message: Call, simulator: Simulator, model: str
) -> None:
    supplier = provider_of(simulator, model)
    supplier.misbehave(Fault(tokens_per_second=20, reply_tokens=1000))

    await message("leave", model)

    await eventually(lambda: supplier.exchanges[-1].client_disconnected)
