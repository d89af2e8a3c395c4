"""Streams of one protocol, said in the words of the other: golden cases, and what comes back unchanged."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.router.domain.errors import LostError, MalformedAnswerError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.answers import chat_usage, message_usage
from modelbus.router.wire.chat_events import DONE
from modelbus.router.wire.chunks_from_messages import ChunksFromMessages
from modelbus.router.wire.events import EventStream
from modelbus.router.wire.messages import MessageEvents
from modelbus.router.wire.messages_from_chunks import MessagesFromChunks
from modelbus.router.wire.other_events import TypedEvents


def named(kind: str, **content: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | content)}\n\n".encode()


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def through(events: EventStream, stream: bytes, cuts: list[int] | None = None) -> list[Any]:
    """Send it through in pieces, and answer the payloads that came out."""
    edges = [0, *sorted(cuts or []), len(stream)]
    said = b"".join(events.take(stream[begin:end]) for begin, end in pairwise(edges)) + events.end()
    if events.failure:
        raise events.failure
    payloads = [line.removeprefix(b"data: ") for line in said.splitlines() if line.startswith(b"data: ")]
    return [payload.decode() if payload == b"[DONE]" else json.loads(payload) for payload in payloads]


MESSAGE = b"".join(
    [
        named(
            "message_start",
            message={
                "id": "msg_1",
                "model": "claude",
                "usage": {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1},
            },
        ),
        named("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""}),
        named("ping"),
        named("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
        named("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "s"}),
        named("content_block_stop", index=0),
        named("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        named("content_block_delta", index=1, delta={"type": "text_delta", "text": 'I "look"\n\n'}),
        named("content_block_stop", index=1),
        named("content_block_start", index=2, content_block={"type": "tool_use", "id": "a", "name": "f", "input": {}}),
        named("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": ""}),
        named("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": '{"city":'}),
        named("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": ' "Rome"}'}),
        named("content_block_stop", index=2),
        named("content_block_start", index=3, content_block={"type": "tool_use", "id": "b", "name": "g", "input": {}}),
        named("content_block_stop", index=3),
        named("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 9}),
        named("message_stop"),
    ]
)
USAGE = (
    b'data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":9,'
    b'"prompt_tokens_details":{"cached_tokens":3}}}\n\n'
)
CHUNKS = b"".join(
    [
        b": waiting\n\n",
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "I "}),
        chunk({"content": "look"}),
        chunk(
            {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}
        ),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ' "Rome"}'}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
        chunk({}, "tool_calls"),
        USAGE,
        DONE,
    ]
)


@given(cuts=st.lists(st.integers(0, len(MESSAGE)), max_size=20))
def test_anthropics_events_become_chunks_however_they_are_cut(cuts: list[int]) -> None:
    events = ChunksFromMessages(shows_usage=True)

    *chunks, usage, done = through(events, MESSAGE, cuts)

    deltas = [each["choices"][0]["delta"] for each in chunks]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": 'I "look"\n\n'},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ' "Rome"}'}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]
    assert [each["choices"][0]["finish_reason"] for each in chunks] == [None] * 8 + ["tool_calls"]
    assert {each["id"] for each in chunks} == {"msg_1"}
    assert (usage["choices"], usage["usage"]["prompt_tokens"], usage["usage"]["total_tokens"]) == ([], 10, 19)
    assert done == "[DONE]"
    assert events.tokens == Tokens(input=7, cached_input=3, output=9)


@given(cuts=st.lists(st.integers(0, len(CHUNKS)), max_size=20))
def test_chunks_become_anthropics_events_however_they_are_cut(cuts: list[int]) -> None:
    events = MessagesFromChunks()

    started, *told, ending, stop = through(events, CHUNKS, cuts)

    assert (started["type"], started["message"]["id"], started["message"]["content"]) == ("message_start", "c", [])
    assert [(each["type"], each["index"]) for each in told] == [
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("content_block_start", 3),
        ("content_block_delta", 3),
        ("content_block_stop", 3),
    ]
    assert [each["content_block"]["type"] for each in told if "content_block" in each] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert [each["delta"] for each in told if each.get("delta", {}).get("type") == "input_json_delta"] == [
        {"type": "input_json_delta", "partial_json": '{"city":'},
        {"type": "input_json_delta", "partial_json": ' "Rome"}'},
        {"type": "input_json_delta", "partial_json": "{}"},
    ]
    assert ending["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert (ending["usage"]["input_tokens"], ending["usage"]["cache_read_input_tokens"]) == (7, 3)
    assert ending["usage"]["output_tokens"] == 9
    assert stop == {"type": "message_stop"}


@given(cuts=st.lists(st.integers(0, len(MESSAGE)), max_size=20))
def test_anthropics_events_are_relayed_byte_for_byte_and_counted(cuts: list[int]) -> None:
    events = MessageEvents()
    edges = [0, *sorted(cuts), len(MESSAGE)]

    passed = b"".join(events.take(MESSAGE[begin:end]) for begin, end in pairwise(edges))

    assert passed == MESSAGE
    assert events.is_done
    assert events.tokens == Tokens(input=7, cached_input=3, output=9)


def said_in(chunks: list[Any]) -> tuple[str, list[tuple[str, str]], str | None]:
    text, reason = "", None
    calls: dict[int, tuple[str, str]] = {}
    for each in chunks:
        for choice in each["choices"] if isinstance(each, dict) else ():
            text += choice["delta"].get("content") or ""
            reason = choice["finish_reason"] or reason
            for one in choice["delta"].get("tool_calls", ()):
                name, written = calls.get(one["index"], ("", ""))
                function = one["function"]
                calls[one["index"]] = (name or function.get("name", ""), written + function.get("arguments", ""))
    return text, list(calls.values()), reason


pieces = st.lists(st.text(min_size=1, max_size=8), max_size=4)


counts = st.integers(0, 10**6)
used = st.builds(
    Tokens, input=counts, cached_input=counts, output=counts, reasoning=st.none() | counts, cache_write=counts
)


def asked_of(told: Tokens) -> bytes:
    return b"data: " + json.dumps({"choices": [], "usage": chat_usage(told)}).encode() + b"\n\n"


@given(
    texts=pieces,
    calls=st.lists(pieces.filter(bool), max_size=3),
    reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
    told=used,
)
def test_chunks_that_went_there_and_back_say_the_same(
    texts: list[str], calls: list[list[str]], reason: str, told: Tokens
) -> None:
    stream = chunk({"role": "assistant", "content": ""}) + b"".join(chunk({"content": each}) for each in texts)
    for index, written in enumerate(calls):
        begun = {"index": index, "id": f"c{index}", "function": {"name": f"f{index}", "arguments": ""}}
        stream += chunk({"tool_calls": [begun]})
        stream += b"".join(
            chunk({"tool_calls": [{"index": index, "function": {"arguments": each}}]}) for each in written
        )
    stream += chunk({}, reason) + asked_of(told) + DONE
    there, back = MessagesFromChunks(), ChunksFromMessages(shows_usage=True)

    message = b"".join((there.take(stream), there.end()))
    *chunks, usage, _ = through(back, message)

    assert said_in(chunks) == (
        "".join(texts),
        [(f"f{index}", "".join(written)) for index, written in enumerate(calls)],
        reason,
    )
    assert usage["usage"] == chat_usage(told)
    assert there.tokens == back.tokens == told


@st.composite
def messages(draw: st.DrawFn) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Blocks with their deltas; two texts or thoughts in a row would become one."""
    made: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    kinds = draw(st.lists(st.sampled_from(["text", "thinking", "tool_use"]), max_size=5))
    for kind in (each for each, before in zip(kinds, [None, *kinds], strict=False) if each != before):
        said = draw(pieces.filter(bool))
        if kind == "tool_use":
            block = {"type": kind, "id": f"t{len(made)}", "name": "f", "input": {}}
            made.append((block, [{"type": "input_json_delta", "partial_json": each} for each in said]))
        else:
            empty = {"citations": None} if kind == "text" else {"signature": ""}
            made.append(({"type": kind, kind: "", **empty}, [{"type": f"{kind}_delta", kind: each} for each in said]))
    return made


@given(blocks=messages(), reason=st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal"]), told=used)
def test_events_that_went_there_and_back_say_the_same(
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]], reason: str, told: Tokens
) -> None:
    begun = {"id": "msg_1", "model": "m", "usage": message_usage(told)}
    stream = named("message_start", message=begun)
    for index, (block, deltas) in enumerate(blocks):
        stream += named("content_block_start", index=index, content_block=block)
        stream += b"".join(named("content_block_delta", index=index, delta=each) for each in deltas)
        stream += named("content_block_stop", index=index)
    ended = {"stop_reason": reason, "stop_sequence": None}
    stream += named("message_delta", delta=ended, usage=message_usage(told)) + named("message_stop")
    there, back = ChunksFromMessages(shows_usage=True), MessagesFromChunks()

    chunks = b"".join((there.take(stream), there.end()))
    started, *said, ending, stop = through(back, chunks)

    wanted: list[dict[str, Any]] = []
    for index, (block, deltas) in enumerate(blocks):
        wanted.append({"type": "content_block_start", "index": index, "content_block": block})
        wanted += [{"type": "content_block_delta", "index": index, "delta": each} for each in deltas]
        wanted.append({"type": "content_block_stop", "index": index})
    assert said == wanted
    assert (started["message"]["id"], started["message"]["model"]) == ("msg_1", "m")
    assert (ending["delta"], ending["usage"]) == (ended, message_usage(told))
    assert stop == {"type": "message_stop"}
    assert there.tokens == back.tokens == told


@pytest.mark.parametrize("reader", [MessageEvents, lambda: ChunksFromMessages(shows_usage=False)])
@pytest.mark.parametrize(
    ("stream", "raised"),
    [
        (MESSAGE[: MESSAGE.index(b"event: message_delta")], LostError),
        (MESSAGE.replace(b'"stop_reason": "tool_use"', b'"stop_reason": null'), LostError),
        (MESSAGE, None),
        (named("message_start", message={}) + named("error", error={"type": "overloaded_error"}), MalformedAnswerError),
        (b"event: ping\ndata: {not json}\n\n", MalformedAnswerError),
    ],
)
def test_a_message_that_does_not_end_well_is_told_apart(
    reader: Callable[[], EventStream], stream: bytes, raised: type[Exception] | None
) -> None:
    events = reader()
    events.take(stream)
    events.end()

    assert type(events.failure) is (raised or type(None))


def test_a_message_that_ends_without_its_last_event_is_ended_well() -> None:
    stream = MESSAGE[: MESSAGE.index(b"event: message_stop")]

    relayed, said = MessageEvents(), ChunksFromMessages(shows_usage=False)

    assert through(relayed, stream)[-1] == {"type": "message_stop"}
    assert through(said, stream)[-1] == "[DONE]"


def test_what_came_before_a_malformed_call_goes_on() -> None:
    events = MessagesFromChunks()

    said = events.take(chunk({"content": "hi"}) + chunk({"tool_calls": 5}))

    assert b'"text":"hi"' in said
    assert isinstance(events.failure, MalformedAnswerError)


def test_calls_that_come_in_one_another_are_told_to_be_wrong() -> None:
    first, second = ({"index": n, "id": str(n), "function": {"name": "f", "arguments": "{"}} for n in (0, 1))

    with pytest.raises(MalformedAnswerError, match="in one another"):
        through(MessagesFromChunks(), b"".join(chunk({"tool_calls": [one]}) for one in (first, second, first)))


def test_a_refusal_is_a_refusal_in_both() -> None:
    stream = chunk({"role": "assistant", "refusal": "I will not"}) + chunk({}, "stop") + DONE

    told = through(MessagesFromChunks(), stream)

    assert told[2]["delta"] == {"type": "text_delta", "text": "I will not"}
    assert told[-2]["delta"]["stop_reason"] == "refusal"


@pytest.mark.parametrize(
    ("last", "tokens"),
    [
        ({"type": "response.completed", "response": {"usage": {"input_tokens": 4, "output_tokens": 5}}}, (4, 5)),
        ({"type": "response.incomplete", "response": {}}, (None, None)),
        ({"type": "image_generation.completed", "usage": {"input_tokens": 4, "output_tokens": 5}}, (4, 5)),
        ({"type": "transcript.text.done", "text": "hi"}, (None, None)),
    ],
)
def test_streams_of_other_endpoints_end_by_their_last_event(
    last: dict[str, Any], tokens: tuple[int | None, int | None]
) -> None:
    events = TypedEvents()

    told = through(
        events,
        named("response.output_text.delta", delta="hi")
        + named(**{"kind": last["type"], **{k: v for k, v in last.items() if k != "type"}}),
    )

    assert told[-1] == last
    assert (events.tokens.input, events.tokens.output) == tokens


def test_a_part_that_is_done_does_not_end_a_response() -> None:
    with pytest.raises(LostError):
        through(TypedEvents(), named("response.output_text.done", text="hi"))


def test_a_response_is_over_with_its_last_event_though_the_connection_stays_open() -> None:
    events = TypedEvents()

    events.take(named("response.completed", response={}))

    assert events.is_done
