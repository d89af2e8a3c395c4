"""Server-sent events on their way through."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.router.domain.errors import AttemptFailedError, LostError, MalformedAnswerError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.chat_events import DONE, ChatEvents
from modelbus.router.wire.events import LARGEST_EVENT


def chunk(content: str | None = None, finish_reason: str | None = None, **more: Any) -> bytes:
    delta = {"role": "assistant", "content": ""} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


OPENING, HELLO, FINISH = chunk(), chunk("Hello"), chunk("", "stop")
USAGE = (
    b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":5,'
    b'"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":1}}}\n\n'
)
WHOLE = b": waiting\n\n" + OPENING + HELLO + chunk("a\n\nb") + FINISH + USAGE + DONE


def through(pieces: list[bytes], *, shows_usage: bool = False) -> tuple[bytes, ChatEvents]:
    events = ChatEvents(shows_usage=shows_usage)
    passed = b"".join(events.take(piece) for piece in pieces)
    passed += events.end()
    if events.failure:
        raise events.failure
    return passed, events


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=20), shows_usage=st.booleans())
def test_however_the_stream_is_cut_in_pieces_the_same_goes_on(cuts: list[int], *, shows_usage: bool) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[begin:end] for begin, end in pairwise(edges)]

    passed, events = through(pieces, shows_usage=shows_usage)

    assert passed == (WHOLE if shows_usage else WHOLE.replace(USAGE, b""))
    assert events.tokens == Tokens(input=4, cached_input=3, output=4, reasoning=1)


def test_an_empty_finish_reason_is_none() -> None:
    """Ollama, SGLang and LocalAI send it with every chunk."""
    begun = chunk(finish_reason="") + chunk("Hello", "") + chunk("more", "")

    _, events = through([begun, FINISH + USAGE + DONE])
    assert (events.end_reason, events.is_done) == ("stop", True)
    with pytest.raises(LostError):
        through([begun])
    with pytest.raises(LostError):
        through([begun + DONE])


def test_windows_line_ends_are_events_too() -> None:
    stream = (OPENING + HELLO + FINISH + USAGE + DONE).replace(b"\n", b"\r\n")

    passed, events = through([stream[:50], stream[50:]])

    assert passed == stream.replace(USAGE.replace(b"\n", b"\r\n"), b"")
    assert events.is_done


@pytest.mark.parametrize(
    ("event", "is_first_token"),
    [
        (b": still waiting\n\n", False),
        (OPENING, False),
        (b'data: {"choices":[],"prompt_filter_results":[{}]}\n\n', False),
        (HELLO, True),
        (FINISH, True),
        (b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"content":null,"tool_calls":[{"index":0}]}}]}\n\n', True),
    ],
)
def test_the_first_token_is_told_from_what_opens_a_stream(event: bytes, *, is_first_token: bool) -> None:
    events = ChatEvents(shows_usage=False)

    events.take(event)

    assert events.has_substance is is_first_token


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        (OPENING + HELLO + DONE, LostError),
        (OPENING + HELLO, LostError),
        (b"", LostError),
        (OPENING + HELLO + b'data: {"choices":[{"del', MalformedAnswerError),
        (OPENING + HELLO + b'data: {"choices":[{"del\n\n', MalformedAnswerError),
        (OPENING + HELLO + b"data: <html>\n\n", MalformedAnswerError),
        (OPENING + HELLO + b'data: {"error":{"message":"overloaded"}}\n\n', MalformedAnswerError),
        (b"data: [1]\n\n", MalformedAnswerError),
        (b"data: " + b"x" * LARGEST_EVENT, MalformedAnswerError),
    ],
)
def test_a_stream_that_is_not_whole_is_never_taken_for_one(stream: bytes, kind: type[AttemptFailedError]) -> None:
    with pytest.raises(kind):
        through([stream])


@given(cuts=st.lists(st.integers(0, 3000), max_size=8))
def test_an_event_may_be_as_large_as_it_is_told_and_come_in_any_pieces(cuts: list[int]) -> None:
    events = ChatEvents(shows_usage=False)
    events.largest_event = 2500
    large = OPENING + chunk("x" * 2000).replace(b"\n\n", b"\r\n\r\n") + FINISH + DONE
    edges = [0, *sorted(min(cut, len(large)) for cut in cuts), len(large)]

    passed = b"".join(events.take(large[begin:end]) for begin, end in pairwise(edges))

    assert (passed, events.failure) == (large, None)


def test_an_event_without_end_is_given_up_beyond_what_is_told() -> None:
    events = ChatEvents(shows_usage=False)
    events.largest_event = 2500

    for _ in range(26):
        assert events.failure is None
        events.take(b"x" * 100)

    assert isinstance(events.failure, MalformedAnswerError)


def test_what_came_before_a_broken_event_goes_on() -> None:
    events = ChatEvents(shows_usage=False)

    passed = events.take(OPENING + HELLO + b"data: {\n\n" + chunk("never"))

    assert passed == OPENING + HELLO
    assert isinstance(events.failure, MalformedAnswerError)
    assert events.take(HELLO) == b""


def test_a_model_that_talks_of_errors_and_usage_is_not_misunderstood() -> None:
    talk = chunk('{"error": {"code": 1}, "usage": {"prompt_tokens": 9}, "finish_reason": "stop"} [DONE]')

    passed, events = through([OPENING, HELLO, talk, FINISH, DONE])

    assert talk in passed
    assert events.tokens == Tokens()


def test_an_end_without_done_or_last_line_end_is_mended_once_the_completion_is_finished() -> None:
    assert through([OPENING + HELLO + FINISH])[0] == OPENING + HELLO + FINISH + DONE
    assert through([OPENING + HELLO + FINISH + b"data: [DONE]"])[0] == OPENING + HELLO + FINISH + DONE


def test_usage_of_a_strange_shape_is_no_failure() -> None:
    strange = b'data: {"choices":[],"usage":{"prompt_tokens":"many"}}\n\n'

    assert through([OPENING, HELLO, FINISH, strange, DONE])[1].tokens == Tokens()
