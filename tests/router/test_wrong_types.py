"""One value of another type anywhere in a request, an answer or a stream: a refusal, a failed attempt, or a result."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import pytest

from modelbus.router.balance.needs import Needs
from modelbus.router.domain.errors import AttemptFailedError, Refusal
from modelbus.router.journey.ask import read_ask
from modelbus.router.wire.answers import completion_of, message_of
from modelbus.router.wire.chunks_from_messages import ChunksFromMessages
from modelbus.router.wire.endpoints import CHAT, MESSAGES, Endpoint
from modelbus.router.wire.envelopes import ANTHROPIC, OPENAI
from modelbus.router.wire.events import EventStream
from modelbus.router.wire.messages_from_chunks import MessagesFromChunks
from modelbus.router.wire.told import Told

OTHERS: tuple[Any, ...] = (None, True, 5, -1.5, "", "x", [], [5], [[]], {}, {"type": 5}, {"type": "text"}, {"x": []})
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CHAT_ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,iVBO", "filename": "a.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"city": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "sunny"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    "output_config": {"effort": "low"},
    "max_tokens": 5,
    "temperature": 0.5,
    "stop": ["END"],
    "user": "u",
    "n": 1,
    "modalities": ["text"],
    "stream": True,
    "stream_options": {"include_usage": True},
}
MESSAGES_ASKED: dict[str, Any] = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "be brief"}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                {"type": "document", "source": {"type": "text", "data": "words"}, "title": "a"},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [
                        {"type": "text", "text": "sunny"},
                        {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
                    ],
                }
            ],
        },
    ],
    "tools": [{"name": "f", "description": "d", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "stop_sequences": ["END"],
    "metadata": {"user_id": "u"},
    "temperature": 0.5,
    "mcp_servers": [],
    "stream": True,
}
COMPLETION: dict[str, Any] = {
    "id": "c",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "hi",
                "refusal": None,
                "reasoning_content": "hm",
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 1}},
}
MESSAGE: dict[str, Any] = {
    "id": "m",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "hi"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {"city": "Rome"}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 3, "output_tokens": 4, "cache_creation": {"ephemeral_1h_input_tokens": 1}},
}


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


CHUNKS: list[Any] = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm", "refusal": None}),
    chunk({"content": "hi"}),
    chunk({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
    chunk({}, "tool_calls"),
    {"choices": [], "usage": COMPLETION["usage"]},
]
EVENTS: list[Any] = [
    {"type": "message_start", "message": {"id": "m", "model": "m", "usage": MESSAGE["usage"]}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hi"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {"a": 1}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
]


def with_one_other(content: Any) -> Iterator[Any]:
    """Answer the content again and again, each time with one value of it replaced."""
    yield from OTHERS
    places = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for place, inner in places:
        for other in with_one_other(inner):
            changed = content.copy()
            changed[place] = other
            yield changed


@pytest.mark.parametrize(
    ("asked", "endpoint", "at"), [(CHAT_ASKED, CHAT, ANTHROPIC), (MESSAGES_ASKED, MESSAGES, OPENAI)]
)
def test_a_request_is_translated_or_refused(asked: dict[str, Any], endpoint: Endpoint, at: str) -> None:
    write = endpoint.speeches[at].write
    assert write is not None
    said = 0
    for changed in with_one_other(asked):
        body = json.dumps(changed).encode()
        try:
            ask = read_ask(body, endpoint)
            Needs(endpoint, ask.fields, is_stream=ask.is_stream)
            written = json.loads(write(ask.fields, "upstream"))
        except (Refusal, AttemptFailedError):
            continue
        said += written["model"] == "upstream"
    assert said > len(asked), "much is for the supplier to judge"


@pytest.mark.parametrize(("content", "said_as"), [(COMPLETION, message_of), (MESSAGE, completion_of)])
def test_an_answer_is_translated_or_the_attempt_has_failed(
    content: dict[str, Any], said_as: Callable[[bytes], Told]
) -> None:
    said = 0
    for changed in with_one_other(content):
        try:
            told = said_as(json.dumps(changed).encode())
        except AttemptFailedError:
            continue
        said += bool(json.loads(told.body)["model"] in ("m", ""))
    assert said > len(content)


@pytest.mark.parametrize(
    ("content", "reader"), [(CHUNKS, MessagesFromChunks), (EVENTS, lambda: ChunksFromMessages(shows_usage=True))]
)
def test_a_stream_is_translated_or_has_failed(content: list[Any], reader: Callable[[], EventStream]) -> None:
    ended = 0
    for changed in with_one_other(content):
        events = reader()
        for event in changed if isinstance(changed, list) else [changed]:
            events.take(b"data: " + json.dumps(event).encode() + b"\n\n")
        events.end()
        assert events.is_done is (events.failure is None)
        ended += events.is_done
    assert ended > len(content)


@pytest.mark.parametrize("reader", [MessagesFromChunks, lambda: ChunksFromMessages(shows_usage=True)])
@pytest.mark.parametrize("wrong", [b'{"x":"\xff"}', b'{"type":"ping","x":"\xff"}', b'{"x":%b}' % (b"[" * 10**5)])
def test_what_is_not_utf_8_or_has_no_bottom_is_a_failed_stream(reader: Callable[[], EventStream], wrong: bytes) -> None:
    events = reader()

    events.take(b"data: " + wrong + b"\n\n")

    assert isinstance(events.failure, AttemptFailedError)


@pytest.mark.parametrize(("content", "said_as"), [(COMPLETION, message_of), (MESSAGE, completion_of)])
@pytest.mark.parametrize("wrong", [b'"x":"\xff"', b'"x":' + b"[" * 10**5])
def test_an_answer_that_is_not_utf_8_or_has_no_bottom_is_a_failed_attempt(
    content: dict[str, Any], said_as: Callable[[bytes], Told], wrong: bytes
) -> None:
    with pytest.raises(AttemptFailedError):
        said_as(json.dumps(content).encode()[:-1] + b"," + wrong + b"}")


def deepest() -> int:
    """Answer how deep lists may lie in one another to be read here."""
    fits, too_deep = 1, 10**5
    while too_deep - fits > 1:
        depth = (fits + too_deep) // 2
        try:
            msgspec.json.decode(b"[" * depth + b"]" * depth)
            fits = depth
        except RecursionError:
            too_deep = depth
    return fits


def test_arguments_that_can_be_read_and_not_written_within_others_are_no_error_of_ours() -> None:
    write, most, ends = CHAT.speeches[ANTHROPIC].write, deepest(), set[str]()
    assert write is not None
    for depth in range(most - 10, most + 1):
        arguments = '{"a":' + "[" * depth + "]" * depth + "}"
        said = {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": arguments}}]}
        body = json.dumps({"choices": [{"message": said, "finish_reason": "tool_calls"}]}).encode()
        ask = read_ask(json.dumps({"model": "m", "messages": [said]}).encode())
        for attempt in (partial(message_of, body), partial(write, ask.fields, "m")):
            try:
                attempt()
            except AttemptFailedError as error:
                ends.add(error.what)

    assert {end for end in ends if "deep" in end} == {
        "answered what is nested too deep",
        "messages can't be asked of it: the request is nested too deep",
    }
