"""The OpenRouter shape: OpenAI's, with prices in an open listing and refusals of its own."""

from collections.abc import Iterator
from typing import Any, ClassVar

from modelbus.simulator.answers import Answer, Ask, Event, Part, Why, data_event
from modelbus.simulator.listings import RECORDINGS, Listing, recorded_listing
from modelbus.simulator.openai import OpenAI

# The words follow openrouter.ai; what an upstream refuses comes wrapped as a provider's error.
_REFUSALS = {
    Why.KEY_MISSING: (401, "No auth credentials found"),
    Why.KEY_WRONG: (401, "User not found."),
    Why.PATH_UNKNOWN: (404, "Not Found"),
    Why.MODEL_UNKNOWN: (404, "No endpoints found for {}."),
    Why.REQUEST_WRONG: (400, "{}"),
    Why.REQUEST_TOO_LARGE: (413, "Payload Too Large"),
    Why.CONTEXT_TOO_LONG: (
        400,
        "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens.",
    ),
    Why.CONTENT_FILTERED: (400, "Provider returned error"),
    Why.PREFILL_REFUSED: (400, "Provider returned error"),
}
_FAILURES = {
    401: "User not found.",
    402: "Insufficient credits. Add more using https://openrouter.ai/credits",
    429: "Rate limit exceeded",
    500: "Internal Server Error",
    502: "Provider returned error",
    503: "No available model provider that meets your routing requirements",
}


class OpenRouter(OpenAI):
    """openrouter.ai; its listing is a recorded one."""

    name: ClassVar[str] = "openrouter"
    prefix: ClassVar[str] = "/openrouter/api/v1"
    is_listing_open: ClassVar[bool] = True
    completion_id: ClassVar[str] = "gen-{:010d}"
    extras: ClassVar[dict[str, Any]] = {"provider": "Simulated"}

    def default_listing(self) -> Listing:
        """The earliest recording."""
        return recorded_listing(RECORDINGS[0])

    def listed(self, model: str) -> dict[str, Any]:
        """Prices are texts, in dollars per token."""
        return {
            "id": model,
            "name": model,
            "created": 1731105083,
            "description": f"{model}, simulated",
            "context_length": 8192,
            "architecture": {"modality": "text->text", "tokenizer": "Other", "instruct_type": None},
            "pricing": {"prompt": "0.000001", "completion": "0.000002", "image": "0", "request": "0"},
            "top_provider": {"context_length": 8192, "max_completion_tokens": 4096, "is_moderated": False},
            "per_request_limits": None,
        }

    def answer_models(self, ask: Ask) -> Answer:
        """The recorded bytes where there are any."""
        if ask.listing.recorded is not None:
            return Answer(ask.listing.recorded)
        return Answer.of({"data": ask.listing.items})

    def refusal(self, why: Why, about: str) -> Answer:
        """`{"error": {"message", "code"}}`, the code being the status."""
        status, words = _REFUSALS[why]
        error: dict[str, Any] = {"message": words.replace("{}", about), "code": status}
        if why in (Why.CONTENT_FILTERED, Why.PREFILL_REFUSED):
            upstream = super().refusal(why, about).body.decode()
            error["metadata"] = {"raw": upstream, "provider_name": "Simulated"}
        return Answer.of({"error": error}, status)

    def failure(self, status: int) -> Answer:
        """Fail as OpenRouter words it."""
        words = _FAILURES.get(status, f"The server answered {status}")
        return Answer.of({"error": {"message": words, "code": status}}, status)

    def opening(self) -> Iterator[Event]:
        """OpenRouter keeps the connection awake with comments, which a reader must pass over."""
        yield Event(Part.OPENING, b": OPENROUTER PROCESSING\n\n")

    def stream_error(self, ask: Ask) -> bytes:
        """A last chunk that carries the error beside its choice."""
        error = {"code": 502, "message": "Provider disconnected unexpectedly"}
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
        return data_event({"id": self.completion_id.format(ask.serial), "error": error, "choices": [choice]})
