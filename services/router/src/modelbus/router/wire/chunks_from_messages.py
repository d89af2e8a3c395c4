"""Anthropic's events, said as chunks of a chat completion."""

from time import time
from typing import Any

import msgspec

from modelbus.router.wire.answers import FINISH_REASONS, chat_usage, text_in
from modelbus.router.wire.chat_events import DONE
from modelbus.router.wire.messages import MessageEvents
from modelbus.router.wire.reading import read_fields, written


class ChunksFromMessages(MessageEvents):
    """Every event is read here, and judged as when it is relayed."""

    notable = None

    def __init__(self, *, shows_usage: bool) -> None:
        super().__init__()
        self._shows_usage = shows_usage
        self._envelope: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": int(time())}
        self._calls = 0
        self._call_is_empty = False
        self._finish_reason: str | None = None

    def _hear(self, event: bytes, payload: bytes) -> bytes:
        super()._hear(event, payload)
        match read_fields(payload, "sent a malformed event"):
            case {"type": "message_start", "message": dict(message)}:
                self._envelope |= {"id": text_in(message, "id"), "model": text_in(message, "model")}
                return self._chunk({"role": "assistant", "content": ""})
            case {"type": "content_block_start", "content_block": dict(block)}:
                return self._begin_block(block)
            case {"type": "content_block_delta", "delta": dict(delta)}:
                return self._go_on(delta)
            case {"type": "content_block_stop"} if self._call_is_empty:
                return self._arguments("{}")
            case {"type": "message_delta", "delta": {"stop_reason": str(reason)}}:
                self._finish_reason = FINISH_REASONS.get(reason, "stop")
            case {"type": "message_stop"}:
                return self._last()
        return b""

    def _end(self) -> bytes:
        super()._end()
        return self._last()

    def _begin_block(self, block: dict[str, Any]) -> bytes:
        self._call_is_empty = False
        if block.get("type") != "tool_use":
            text = text_in(block, "text") if block.get("type") == "text" else ""
            return self._chunk({"content": text}) if text else b""
        given = block.get("input")
        function = {"name": text_in(block, "name"), "arguments": written(given).decode() if given else ""}
        call = {"index": self._calls, "id": text_in(block, "id"), "type": "function", "function": function}
        self._calls += 1
        self._call_is_empty = not given
        return self._chunk({"tool_calls": [call]})

    def _go_on(self, delta: dict[str, Any]) -> bytes:
        match delta:
            case {"type": "text_delta", "text": str(text)}:
                return self._chunk({"content": text})
            case {"type": "thinking_delta", "thinking": str(thought)}:
                return self._chunk({"reasoning_content": thought})
            case {"type": "input_json_delta", "partial_json": str(piece)} if piece:
                return self._arguments(piece)
        return b""

    def _arguments(self, piece: str) -> bytes:
        self._call_is_empty = False
        return self._chunk({"tool_calls": [{"index": self._calls - 1, "function": {"arguments": piece}}]})

    def _last(self) -> bytes:
        last = self._chunk({}, self._finish_reason or "stop")
        if self._shows_usage:
            last += _event(self._envelope | {"choices": [], "usage": chat_usage(self.tokens)})
        return last + DONE

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return _event(self._envelope | {"choices": [choice]})


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(content) + b"\n\n"
