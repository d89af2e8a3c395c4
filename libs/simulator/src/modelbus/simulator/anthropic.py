"""The Anthropic shape: paged models, messages and the counting of tokens."""

from collections.abc import Iterator
from typing import Any, ClassVar

from modelbus.simulator.answers import Answer, Ask, Event, Kind, Part, RefusedError, Why, data_event
from modelbus.simulator.replies import Reply, Tool, compose_reply, count_words
from modelbus.simulator.shape import Shape, bounds_of, is_streamed, required_list

_LARGEST_PAGE = 1000

# (status, type, message); the words follow api.anthropic.com.
_REFUSALS = {
    Why.KEY_MISSING: (401, "authentication_error", "x-api-key header is required"),
    Why.KEY_WRONG: (401, "authentication_error", "invalid x-api-key"),
    Why.PATH_UNKNOWN: (404, "not_found_error", "Not Found"),
    Why.MODEL_UNKNOWN: (404, "not_found_error", "model: {}"),
    Why.REQUEST_WRONG: (400, "invalid_request_error", "{}"),
    Why.REQUEST_TOO_LARGE: (413, "request_too_large", "Request exceeds the maximum size"),
    Why.CONTEXT_TOO_LONG: (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"),
    Why.CONTENT_FILTERED: (400, "invalid_request_error", "Output blocked by content filtering policy"),
    Why.PREFILL_REFUSED: (
        400,
        "invalid_request_error",
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
}
_FAILURES = {
    400: ("invalid_request_error", "Bad request"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not Found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit."),
    504: ("timeout_error", "The request timed out."),
    529: ("overloaded_error", "Overloaded"),
}


class Anthropic(Shape):
    """api.anthropic.com."""

    name: ClassVar[str] = "anthropic"
    prefix: ClassVar[str] = "/anthropic/v1"
    request_id_header: ClassVar[str] = "request-id"
    routes = {  # noqa: RUF012 - the base class says ClassVar
        "/models": ("GET", Kind.MODELS),
        "/messages": ("POST", Kind.MESSAGES),
        "/messages/count_tokens": ("POST", Kind.COUNT_TOKENS),
    }
    default_names = (
        "claude-3-5-sonnet-20241022",
        "claude-3-5-haiku-20241022",
        "claude-3-opus-20240229",
        "claude-3-haiku-20240307",
    )

    def listed(self, model: str) -> dict[str, Any]:
        """Anthropic tells a name for people and a date."""
        words = [word for word in model.split("-") if not (word.isdigit() and len(word) > 1)]
        shown = " ".join(word.capitalize() for word in words)
        return {"type": "model", "id": model, "display_name": shown, "created_at": "2024-10-22T00:00:00Z"}

    def answer(self, ask: Ask) -> Answer:
        """Answer any of the three endpoints; all of them want to know the version that the caller speaks."""
        if "anthropic-version" not in ask.headers:
            raise RefusedError(Why.REQUEST_WRONG, "anthropic-version: header is required")
        match ask.kind:
            case Kind.MODELS:
                return Answer.of(_page(ask))
            case Kind.COUNT_TOKENS:
                return Answer.of({"input_tokens": _heard(ask)})
        return self._answer_messages(ask)

    def refusal(self, why: Why, about: str) -> Answer:
        """`{"type": "error", "error": {"type", "message"}}`."""
        status, kind, words = _REFUSALS[why]
        return Answer.of(_error(kind, words.replace("{}", about)), status)

    def failure(self, status: int) -> Answer:
        """Fail as Anthropic words it; statuses it has no words for are API errors."""
        return Answer.of(_error(*_FAILURES.get(status, ("api_error", "Internal server error"))), status)

    def _answer_messages(self, ask: Ask) -> Answer:
        heard = _heard(ask)
        bounds = bounds_of(ask, "max_tokens")
        if bounds.most is None:
            raise RefusedError(Why.REQUEST_WRONG, "max_tokens: Field required")
        reply = compose_reply(f"{ask.model} at {self.name}", heard, bounds, _required_tool(ask))
        if is_streamed(ask):
            return Answer(
                content_type="text/event-stream; charset=utf-8",
                tokens=reply.completion_tokens,
                events=_events(ask, reply),
                stream_error=data_event(_error("overloaded_error", "Overloaded"), "error"),
            )
        stop_reason = None if ask.fault.missing_finish_reason else _stop_reason(reply)
        message = _message(ask, reply) | {"content": [_block(ask, reply)], "stop_reason": stop_reason}
        return Answer.of(message, tokens=reply.completion_tokens)


def _page(ask: Ask) -> dict[str, Any]:
    """One page of the listing, by cursor; items without an id can't be a cursor but are listed all the same."""
    items = list(ask.listing.items)
    ids = [item.get("id") if isinstance(item, dict) else None for item in items]
    limit = ask.query.get("limit", "20")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= _LARGEST_PAGE):  # noqa: PLR2004 - as long as 1000
        raise RefusedError(Why.REQUEST_WRONG, "limit: must be an integer from 1 to 1000")
    cursor = ask.query.get("after_id")
    if cursor is not None and cursor not in ids:
        raise RefusedError(Why.REQUEST_WRONG, f"after_id: {cursor} was not found")
    first = 0 if cursor is None else ids.index(cursor) + 1
    end = first + int(limit)
    page_ids = ids[first:end]
    return {
        "data": items[first:end],
        "has_more": end < len(items),
        "first_id": page_ids[0] if page_ids else None,
        "last_id": page_ids[-1] if page_ids else None,
    }


def _heard(ask: Ask) -> int:
    messages = required_list(ask, "messages", "messages: Field required")
    return count_words(ask.body.get("system")) + count_words(messages)


def _required_tool(ask: Ask) -> Tool | None:
    tools, choice = ask.body.get("tools"), ask.body.get("tool_choice")
    if not (isinstance(tools, list) and isinstance(choice, dict) and choice.get("type") in ("any", "tool")):
        return None
    name = choice.get("name") if choice["type"] == "tool" else None
    for tool in tools:
        if isinstance(tool, dict) and isinstance(tool.get("name"), str) and name in (None, tool["name"]):
            return Tool(tool["name"], tool.get("input_schema", {}))
    raise RefusedError(Why.REQUEST_WRONG, "tool_choice: names no tool that is among the tools")


def _events(ask: Ask, reply: Reply) -> Iterator[Event]:
    """The sequence of a real stream: message_start, the block with its deltas, message_delta, message_stop."""

    def event(part: Part, name: str, **content: Any) -> Event:
        return Event(part, data_event({"type": name} | content, name))

    is_text = reply.tool is None
    started = _message(ask, reply) | {"usage": _usage(reply.prompt_tokens, 1)}
    yield event(Part.OPENING, "message_start", message=started)
    emptied: dict[str, Any] = {"text": ""} if is_text else {"input": {}}
    empty_block = _block(ask, reply) | emptied
    yield event(Part.OPENING, "content_block_start", index=0, content_block=empty_block)
    yield event(Part.OPENING, "ping")
    for piece in reply.pieces:
        said = {"type": "text_delta", "text": piece}
        argued = {"type": "input_json_delta", "partial_json": piece}
        yield event(Part.TOKEN, "content_block_delta", index=0, delta=said if is_text else argued)
    yield event(Part.CLOSING, "content_block_stop", index=0)
    ending = {"stop_reason": _stop_reason(reply), "stop_sequence": None}
    usage = {"output_tokens": reply.completion_tokens}
    yield event(Part.FINISH_REASON, "message_delta", delta=ending, usage=usage)
    yield event(Part.DONE, "message_stop")


def _message(ask: Ask, reply: Reply) -> dict[str, Any]:
    return {
        "id": f"msg_{ask.serial:010d}",
        "type": "message",
        "role": "assistant",
        "model": ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(reply.prompt_tokens, reply.completion_tokens),
    }


def _block(ask: Ask, reply: Reply) -> dict[str, Any]:
    if reply.tool is None:
        return {"type": "text", "text": reply.text}
    return {"type": "tool_use", "id": f"toolu_{ask.serial:010d}", "name": reply.tool, "input": reply.arguments}


def _usage(heard: int, said: int) -> dict[str, int]:
    return {
        "input_tokens": heard,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": said,
    }


def _stop_reason(reply: Reply) -> str:
    if reply.is_cut:
        return "max_tokens"
    return "end_turn" if reply.tool is None else "tool_use"


def _error(kind: str, words: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": words}}
