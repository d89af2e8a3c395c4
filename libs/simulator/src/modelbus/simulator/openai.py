"""The OpenAI shape: models, chat completions, embeddings, and what responses.py has."""

import base64
import hashlib
import time
from array import array
from collections.abc import Iterator
from typing import Any, ClassVar

from modelbus.simulator.answers import Answer, Ask, Event, Kind, Part, RefusedError, Why, data_event
from modelbus.simulator.replies import Reply, Tool, compose_reply, count_words
from modelbus.simulator.responses import answer_completion, answer_response
from modelbus.simulator.shape import Shape, bounds_of, is_streamed, required_list

_LISTED_SINCE = 1715367049
_LONGEST_VECTOR = 3072
_USUAL_VECTOR = 1536
_MOST_INPUTS = 2048

# (status, type, param, code, message); the words follow api.openai.com.
_REFUSALS = {
    Why.KEY_MISSING: (401, "invalid_request_error", None, None, "You didn't provide an API key."),
    Why.KEY_WRONG: (401, "invalid_request_error", None, "invalid_api_key", "Incorrect API key provided: {}."),
    Why.PATH_UNKNOWN: (404, "invalid_request_error", None, "unknown_url", "Unknown request URL: {}."),
    Why.MODEL_UNKNOWN: (
        404,
        "invalid_request_error",
        None,
        "model_not_found",
        "The model `{}` does not exist or you do not have access to it.",
    ),
    Why.REQUEST_WRONG: (400, "invalid_request_error", None, None, "{}"),
    Why.REQUEST_TOO_LARGE: (413, "invalid_request_error", None, None, "The request body is too large."),
    Why.CONTEXT_TOO_LONG: (
        400,
        "invalid_request_error",
        "messages",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    ),
    Why.CONTENT_FILTERED: (
        400,
        "invalid_request_error",
        "prompt",
        "content_filter",
        "The response was filtered due to the prompt triggering the content management policy.",
    ),
    Why.PREFILL_REFUSED: (
        400,
        "invalid_request_error",
        "messages",
        None,
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
}
_FAILURES = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


class OpenAI(Shape):
    """api.openai.com, and the base of those that follow it."""

    name: ClassVar[str] = "openai"
    prefix: ClassVar[str] = "/openai/v1"
    routes = {  # noqa: RUF012 - the base class says ClassVar
        "/models": ("GET", Kind.MODELS),
        "/chat/completions": ("POST", Kind.CHAT),
        "/embeddings": ("POST", Kind.EMBEDDINGS),
        "/responses": ("POST", Kind.RESPONSES),
        "/completions": ("POST", Kind.COMPLETIONS),
    }
    default_names = (
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4-turbo",
        "gpt-3.5-turbo",
        "o1-mini",
        "o1-preview",
        "text-embedding-3-small",
        "text-embedding-3-large",
    )
    completion_id: ClassVar[str] = "chatcmpl-{:010d}"
    extras: ClassVar[dict[str, Any]] = {"system_fingerprint": "fp_simulated"}

    def listed(self, model: str) -> dict[str, Any]:
        """OpenAI tells little more than the name."""
        return {"id": model, "object": "model", "created": _LISTED_SINCE, "owned_by": "system"}

    def answer(self, ask: Ask) -> Answer:
        """Answer any of the endpoints."""
        match ask.kind:
            case Kind.MODELS:
                return self.answer_models(ask)
            case Kind.CHAT:
                return self._answer_chat(ask)
            case Kind.RESPONSES:
                return answer_response(ask, f"{ask.model} at {self.name}")
            case Kind.COMPLETIONS:
                return answer_completion(ask, f"{ask.model} at {self.name}", wants_usage=_wants_usage(ask))
        return self._answer_embeddings(ask)

    def answer_models(self, ask: Ask) -> Answer:
        """The whole listing, unpaged."""
        return Answer.of({"object": "list", "data": ask.listing.items})

    def refusal(self, why: Why, about: str) -> Answer:
        """`{"error": {"message", "type", "param", "code"}}`."""
        status, kind, param, code, words = _REFUSALS[why]
        # Only the placeholder is replaced: what the caller sent may hold braces of its own.
        return self._error(status, kind, param, code, words.replace("{}", about))

    def failure(self, status: int) -> Answer:
        """Fail as OpenAI words it; statuses it has no words for are server errors."""
        kind, code, words = _FAILURES.get(status, ("server_error", None, f"The server answered {status}."))
        return self._error(status, kind, None, code, words)

    def _error(self, status: int, kind: str, param: str | None, code: str | None, words: str) -> Answer:
        return Answer.of({"error": {"message": words, "type": kind, "param": param, "code": code}}, status)

    def _answer_chat(self, ask: Ask) -> Answer:
        messages = required_list(ask, "messages", "Missing required parameter: 'messages'.")
        bounds = bounds_of(ask, "max_completion_tokens", "max_tokens")
        who = f"{ask.model} at {self.name}"
        reply = compose_reply(who, count_words(messages), bounds, _required_tool(ask))
        if is_streamed(ask):
            return Answer(
                content_type="text/event-stream; charset=utf-8",
                tokens=reply.completion_tokens,
                events=self._events(ask, reply),
                stream_error=self.stream_error(ask),
            )
        finish_reason = None if ask.fault.missing_finish_reason else _finish_reason(reply)
        choice = {"index": 0, "message": _message(ask, reply), "logprobs": None, "finish_reason": finish_reason}
        envelope = self._envelope(ask, "chat.completion")
        content = envelope | {"choices": [choice], "usage": _usage(reply)}
        return Answer.of(content, tokens=reply.completion_tokens)

    def _envelope(self, ask: Ask, kind: str) -> dict[str, Any]:
        id_ = self.completion_id.format(ask.serial)
        return {"id": id_, "object": kind, "created": int(time.time()), "model": ask.model} | self.extras

    def opening(self) -> Iterator[Event]:
        """Events that come before the first chunk: none here."""
        return iter(())

    def stream_error(self, _ask: Ask) -> bytes:
        """The event of an answer that breaks off with an explanation."""
        return data_event({"error": {"message": "The server had an error.", "type": "server_error", "code": None}})

    def _events(self, ask: Ask, reply: Reply) -> Iterator[Event]:
        wants_usage = _wants_usage(ask)
        envelope = self._envelope(ask, "chat.completion.chunk") | ({"usage": None} if wants_usage else {})

        def chunk(part: Part, delta: dict[str, Any], finish_reason: str | None = None) -> Event:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
            return Event(part, data_event(envelope | {"choices": [choice]}))

        yield from self.opening()
        if reply.tool is None:
            yield chunk(Part.OPENING, {"role": "assistant", "content": ""})
        else:
            call = _tool_call(ask, reply.tool, "")
            opening = {"role": "assistant", "content": None, "tool_calls": [{"index": 0} | call]}
            yield chunk(Part.OPENING, opening)
        for piece in reply.pieces:
            continued = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            yield chunk(Part.TOKEN, {"content": piece} if reply.tool is None else continued)
        yield chunk(Part.FINISH_REASON, {}, _finish_reason(reply))
        if wants_usage:
            yield Event(Part.CLOSING, data_event(envelope | {"choices": [], "usage": _usage(reply)}))
        yield Event(Part.DONE, b"data: [DONE]\n\n")

    def _answer_embeddings(self, ask: Ask) -> Answer:
        given = ask.body.get("input")
        is_one = isinstance(given, str) or (isinstance(given, list) and all(type(item) is int for item in given))
        inputs = [given] if is_one and given else given
        if not (isinstance(inputs, list) and 0 < len(inputs) <= _MOST_INPUTS):
            raise RefusedError(Why.REQUEST_WRONG, "input: must be a text, tokens, or 1 to 2048 of these")
        dimensions = ask.body.get("dimensions", _LONGEST_VECTOR if "large" in ask.model else _USUAL_VECTOR)
        if type(dimensions) is not int or not 1 <= dimensions <= _LONGEST_VECTOR:
            raise RefusedError(Why.REQUEST_WRONG, "dimensions: must be an integer from 1 to 3072")
        is_packed = ask.body.get("encoding_format") == "base64"
        vectors = [_vector(text, dimensions) for text in inputs]
        embeddings = [base64.b64encode(one.tobytes()).decode() if is_packed else one.tolist() for one in vectors]
        items = [
            {"object": "embedding", "index": index, "embedding": embedding}
            for index, embedding in enumerate(embeddings)
        ]
        words = sum(count_words(text) if isinstance(text, str) else 1 for text in inputs)
        usage = {"prompt_tokens": words, "total_tokens": words}
        return Answer.of({"object": "list", "data": items, "model": ask.model, "usage": usage})


def _vector(text: object, dimensions: int) -> array[float]:
    """A unit vector that is the same for the same input; its 32 different numbers repeat, to be cheap."""
    digest = hashlib.sha256(repr(text).encode(errors="surrogatepass")).digest()
    numbers = [byte - 127.5 for byte in digest]
    stretched = (numbers * (dimensions // len(numbers) + 1))[:dimensions]
    length = sum(value * value for value in stretched) ** 0.5
    return array("f", (value / length for value in stretched))


def _required_tool(ask: Ask) -> Tool | None:
    tools, choice = ask.body.get("tools"), ask.body.get("tool_choice")
    named = choice.get("function") if isinstance(choice, dict) else None
    name = named.get("name") if isinstance(named, dict) else None
    if not isinstance(tools, list) or (choice != "required" and name is None):
        return None
    functions = [tool["function"] for tool in tools if isinstance(tool, dict) and _is_function(tool.get("function"))]
    for function in functions:
        if name in (None, function["name"]):
            return Tool(function["name"], function.get("parameters", {}))
    raise RefusedError(Why.REQUEST_WRONG, "tool_choice: names no function that is among the tools")


def _is_function(function: object) -> bool:
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _tool_call(ask: Ask, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"call_{ask.serial:010d}", "type": "function", "function": function}


def _message(ask: Ask, reply: Reply) -> dict[str, Any]:
    if reply.tool is None:
        return {"role": "assistant", "content": reply.text, "refusal": None}
    calls = [_tool_call(ask, reply.tool, reply.text)]
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}


def _finish_reason(reply: Reply) -> str:
    if reply.is_cut:
        return "length"
    return "stop" if reply.tool is None else "tool_calls"


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


def _wants_usage(ask: Ask) -> bool:
    options = ask.body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
