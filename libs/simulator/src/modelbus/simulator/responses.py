"""OpenAI's other ways to ask for text: responses, and completions that are no chat."""

import time
from collections.abc import Iterator
from typing import Any

from modelbus.simulator.answers import Answer, Ask, Event, Part, RefusedError, Why, data_event
from modelbus.simulator.replies import Reply, compose_reply, count_words
from modelbus.simulator.shape import bounds_of, is_streamed


def answer_response(ask: Ask, who: str) -> Answer:
    """Answer `POST /responses`; no tool is ever called. Raises RefusedError."""
    if not ask.body.get("input"):
        raise RefusedError(Why.REQUEST_WRONG, "Missing required parameter: 'input'.")
    heard = count_words(ask.body.get("instructions")) + count_words(ask.body["input"])
    reply = compose_reply(who, heard, bounds_of(ask, "max_output_tokens"), None)
    if is_streamed(ask):
        return _streamed(_response_events(ask, reply), reply)
    return Answer.of(_response(ask, reply), tokens=reply.completion_tokens)


def answer_completion(ask: Ask, who: str, *, wants_usage: bool) -> Answer:
    """Answer `POST /completions`. Raises RefusedError."""
    if not ask.body.get("prompt"):
        raise RefusedError(Why.REQUEST_WRONG, "Missing required parameter: 'prompt'.")
    reply = compose_reply(who, count_words(ask.body["prompt"]), bounds_of(ask, "max_tokens"), None)
    if is_streamed(ask):
        return _streamed(_completion_events(ask, reply, wants_usage=wants_usage), reply)
    reason = "length" if reply.is_cut else "stop"
    content = _completion(ask, reply.text, reason) | {"usage": _completion_usage(reply)}
    return Answer.of(content, tokens=reply.completion_tokens)


def _streamed(events: Iterator[Event], reply: Reply) -> Answer:
    error = {"type": "error", "code": "server_error", "message": "The server had an error.", "param": None}
    return Answer(
        content_type="text/event-stream; charset=utf-8",
        tokens=reply.completion_tokens,
        events=events,
        stream_error=data_event(error | {"error": error}, "error"),
    )


def _response(ask: Ask, reply: Reply) -> dict[str, Any]:
    reason = {"reason": "max_output_tokens"} if reply.is_cut else None
    usage = {
        "input_tokens": reply.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": reply.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }
    ended = {"status": "incomplete" if reply.is_cut else "completed", "incomplete_details": reason, "usage": usage}
    return _begun(ask) | ended | {"output": [_message(ask, reply)]}


def _begun(ask: Ask) -> dict[str, Any]:
    return {
        "id": f"resp_{ask.serial:010d}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "model": ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }


def _message(ask: Ask, reply: Reply) -> dict[str, Any]:
    content = [{"type": "output_text", "text": reply.text, "annotations": []}]
    said = {"type": "message", "id": _message_id(ask), "role": "assistant", "status": "completed"}
    return said | {"content": content}


def _message_id(ask: Ask) -> str:
    return f"msg_{ask.serial:010d}"


def _response_events(ask: Ask, reply: Reply) -> Iterator[Event]:
    def event(part: Part, kind: str, number: int, **content: Any) -> Event:
        return Event(part, data_event({"type": kind, "sequence_number": number} | content, kind))

    place = {"item_id": _message_id(ask), "output_index": 0, "content_index": 0, "logprobs": []}
    yield event(Part.OPENING, "response.created", 0, response=_begun(ask))
    for number, piece in enumerate(reply.pieces, 1):
        yield event(Part.TOKEN, "response.output_text.delta", number, delta=piece, **place)
    number = len(reply.pieces) + 1
    yield event(Part.CLOSING, "response.output_text.done", number, text=reply.text, **place)
    kind = "response.incomplete" if reply.is_cut else "response.completed"
    yield event(Part.FINISH_REASON, kind, number + 1, response=_response(ask, reply))


def _completion(ask: Ask, text: str, reason: str | None) -> dict[str, Any]:
    return {
        "id": f"cmpl-{ask.serial:010d}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": ask.model,
        "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": reason}],
    }


def _completion_usage(reply: Reply) -> dict[str, int]:
    heard, said = reply.prompt_tokens, reply.completion_tokens
    return {"prompt_tokens": heard, "completion_tokens": said, "total_tokens": heard + said}


def _completion_events(ask: Ask, reply: Reply, *, wants_usage: bool) -> Iterator[Event]:
    for piece in reply.pieces:
        yield Event(Part.TOKEN, data_event(_completion(ask, piece, None)))
    yield Event(Part.FINISH_REASON, data_event(_completion(ask, "", "length" if reply.is_cut else "stop")))
    if wants_usage:
        last = _completion(ask, "", None) | {"choices": [], "usage": _completion_usage(reply)}
        yield Event(Part.CLOSING, data_event(last))
    yield Event(Part.DONE, b"data: [DONE]\n\n")
