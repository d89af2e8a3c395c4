"""Chunks of a chat completion, said as Anthropic's events.

https://docs.claude.com/en/build-with-claude/streaming
"""

from typing import Any

import msgspec

from modelbus.router.domain.errors import MalformedAnswerError
from modelbus.router.wire.answers import STOP_REASONS, calls_in, message_shell, message_usage, text_in
from modelbus.router.wire.chat_events import ChatEvents
from modelbus.router.wire.reading import read_fields

_EMPTY_BLOCKS: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": "", "citations": None},
    "thinking": {"type": "thinking", "thinking": "", "signature": ""},
}
_DELTAS = {"text": "text_delta", "thinking": "thinking_delta"}


class MessagesFromChunks(ChatEvents):
    """One block is open at a time: OpenAI's parallel calls come one after another, and so do blocks."""

    notable = None

    def __init__(self) -> None:
        super().__init__(shows_usage=True)
        self._has_begun = False
        self._blocks = 0
        self._open: str | None = None
        """Kind of the block that is open."""
        self._call: int | None = None
        """OpenAI's index of the call that is open."""
        self._calls: set[int] = set()
        self._stop_reason = "end_turn"

    def _hear(self, event: bytes, payload: bytes) -> bytes:
        super()._hear(event, payload)
        if self.is_done:
            return self._last()
        chunk = read_fields(payload, "sent a malformed event")
        said = b"" if self._has_begun else self._begin(chunk)
        match chunk:
            case {"choices": [dict(choice), *_]} if not choice.get("index"):
                said += self._go_on(choice.get("delta") or {})
                if isinstance(reason := choice.get("finish_reason"), str):
                    self._note_stop(STOP_REASONS.get(reason, "end_turn"))
        return said

    def _end(self) -> bytes:
        super()._end()
        return self._last()

    def _note_stop(self, reason: str) -> None:
        if self._stop_reason != "refusal":
            self._stop_reason = reason

    def _begin(self, chunk: dict[str, Any]) -> bytes:
        self._has_begun = True
        return _event("message_start", message=message_shell(chunk))

    def _go_on(self, delta: dict[str, Any]) -> bytes:
        said = b""
        if isinstance(thought := delta.get("reasoning_content"), str) and thought:
            said += self._say("thinking", thought)
        if isinstance(text := delta.get("content"), str) and text:
            said += self._say("text", text)
        if isinstance(refusal := delta.get("refusal"), str) and refusal:
            self._stop_reason = "refusal"
            said += self._say("text", refusal)
        for call in calls_in(delta):
            said += self._call_on(call)
        return said

    def _say(self, kind: str, text: str) -> bytes:
        said = b"" if self._open == kind else self._open_block(kind, _EMPTY_BLOCKS[kind])
        return said + self._delta({"type": _DELTAS[kind], kind: text})

    def _call_on(self, call: Any) -> bytes:
        match call:
            case {"function": dict(function)} if type(index := call.get("index", 0)) is int:
                pass
            case _:
                raise MalformedAnswerError("sent a malformed event", "a call of a tool without function or index")
        said = b""
        if self._open != "tool_use" or index != self._call:
            if index in self._calls:
                raise MalformedAnswerError("sent calls of tools in one another")
            self._calls.add(index)
            self._call = index
            block: dict[str, Any] = {
                "type": "tool_use",
                "id": text_in(call, "id"),
                "name": text_in(function, "name"),
                "input": {},
            }
            said += self._open_block("tool_use", block)
        if piece := _arguments(function):
            said += self._delta({"type": "input_json_delta", "partial_json": piece})
        return said

    def _open_block(self, kind: str, block: dict[str, Any]) -> bytes:
        said = self._close_block()
        self._open = kind
        return said + _event("content_block_start", index=self._blocks, content_block=block)

    def _close_block(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        self._blocks += 1
        return _event("content_block_stop", index=self._blocks - 1)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._blocks, delta=delta)

    def _last(self) -> bytes:
        ending = {"stop_reason": self._stop_reason, "stop_sequence": None}
        delta = _event("message_delta", delta=ending, usage=message_usage(self.tokens))
        return self._close_block() + delta + _event("message_stop")


def _arguments(function: dict[str, Any]) -> str:
    piece = function.get("arguments") or ""
    if not isinstance(piece, str):
        raise MalformedAnswerError("sent a malformed event", "a call of a tool whose arguments are no text")
    return piece


def _event(name: str, **content: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode({"type": name} | content))
