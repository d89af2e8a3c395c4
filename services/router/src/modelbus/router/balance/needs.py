"""What a request needs of whoever serves it, read from its fields without reading all of it."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from modelbus.router.wire.endpoints import Endpoint
from modelbus.router.wire.estimates import longest_answer, prompt_tokens

VISION, TOOLS, STRUCTURED_OUTPUT = "vision", "tools", "structured_output"
DEMANDED = frozenset({VISION, TOOLS, STRUCTURED_OUTPUT})
"""What a model whose capabilities are known must have; without other ones suppliers still answer something."""

_PARTS = {
    "image_url": VISION,
    "image": VISION,
    "input_image": VISION,
    "input_audio": "audio_input",
    "file": "documents",
    "input_file": "documents",
    "document": "documents",
    "video_url": "video_understanding",
}
# Quotes within texts are escaped, so this is never in one; arguments of tools may look alike, so it is only a sign.
_HAS_PART = re.compile(rb'"type"\s*:\s*"(?:%s)"' % b"|".join(part.encode() for part in _PARTS))
_FORMATS = {"json_schema": STRUCTURED_OUTPUT, "json_object": "json_mode"}
_TOOLS = frozenset(("tools", "functions"))
_HOLDING_FORMATS = frozenset(("response_format", "output_format", "output_config", "text"))
_HOLDING_PARTS = frozenset(("messages", "input"))
_NOTHING = frozenset((b"[]", b"null"))
_NO_FEATURES: frozenset[str] = frozenset()
_STREAMING = frozenset(("streaming",))
# What is too long by less than this may yet fit: texts of more than four bytes a token are common.
_DOUBT = 1.25


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    content: Raw = Raw(b"null")


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    content: str | list[_Part] | None = None


class _Format(msgspec.Struct, gc=False):
    type: str = ""
    format: Raw = Raw(b"null")


_messages = msgspec.json.Decoder(list[_Message]).decode
_parts = msgspec.json.Decoder(list[_Part]).decode
_format = msgspec.json.Decoder(_Format).decode


class Needs:
    """What one request needs; what takes time to find out is looked for when somebody asks."""

    __slots__ = ("_bytes", "_tokens", "features", "fields")

    def __init__(self, endpoint: Endpoint, fields: Mapping[str, Raw], *, is_stream: bool) -> None:
        self.fields = fields
        self.features: frozenset[str] = _NO_FEATURES if endpoint.is_counting else _used_by(fields)
        """The names of the capabilities that it uses."""
        if is_stream and not endpoint.is_always_streamed:
            self.features |= _STREAMING
        self._bytes: int | None = None
        self._tokens: int | None = None

    def exceed(self, context_window: int) -> bool:
        """Tell whether the prompt is too long for a model, beyond the doubt of an estimate."""
        most = context_window * _DOUBT
        if self._bytes is None:
            self._bytes = sum(memoryview(raw).nbytes for raw in self.fields.values())
        if self._bytes <= most * 4:
            return False
        if self._tokens is None:
            self._tokens = prompt_tokens(self.fields)
        return self._tokens > most

    def beyond(self, max_output_tokens: int) -> str | None:
        """Answer the field by which a longer answer is wanted than a model gives; None if it is not."""
        wanted = longest_answer(self.fields)
        return wanted[0] if wanted is not None and wanted[1] > max_output_tokens else None


def _used_by(fields: Mapping[str, Raw]) -> frozenset[str]:
    found = set[str]()
    for name, raw in fields.items():
        if name in _HOLDING_PARTS:
            found |= _used_parts(bytes(raw))
        elif name in _TOOLS and bytes(raw) not in _NOTHING:
            found.add(TOOLS)
        elif name in _HOLDING_FORMATS and (wanted := _wanted_format(raw)):
            found.add(wanted)
    return frozenset(found) if found else _NO_FEATURES


def _wanted_format(raw: Raw) -> str | None:
    """Read OpenAI's `response_format`, Anthropic's `output_config.format` and the `text.format` of responses."""
    try:
        told = _format(raw)
        if bytes(told.format) != b"null":
            told = _format(told.format)
    except msgspec.DecodeError:
        return None  # The supplier says what is wrong with it.
    return _FORMATS.get(told.type)


def _used_parts(raw: bytes) -> set[str]:
    # Most prompts are plain texts, and a plain search is much the quickest.
    if b'"type"' not in raw or not _HAS_PART.search(raw):
        return set()
    try:
        said = _messages(raw)
    except msgspec.DecodeError:
        return set()
    parts: list[_Part] = []
    for message in said:
        parts.append(_Part(message.type))
        parts += message.content if isinstance(message.content, list) else []
    # The results of tools may hold images, too.
    parts += [inner for part in parts for inner in _inner(part)]
    return {_PARTS[part.type] for part in parts if part.type in _PARTS}


def _inner(part: _Part) -> list[Any]:
    if part.type != "tool_result":
        return []
    try:
        return _parts(part.content)
    except msgspec.DecodeError:
        return []
