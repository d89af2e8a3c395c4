"""Tokens that nobody counted, estimated from what passed: four bytes of text are about one; or that may yet pass."""

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.events import EventStream, said_bytes

ANSWER_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""By which a request says how long the answer may be."""
_BYTES_PER_TOKEN = 4
_PROMPT = ("system", "messages", "prompt", "input", "instructions", "tools")
# Images and files are long and no text; each counts as much as a small image does.
_ENCODED = re.compile(rb'"(?:data:[\w.+-]+/[\w.+-]+;base64,|data"\s*:\s*")[A-Za-z0-9+/]+={0,2}"')
_FILE_TOKENS = 256
_read_count = msgspec.json.Decoder(int).decode


def prompt_tokens(fields: Mapping[str, Raw]) -> int:
    """Estimate the tokens of a request."""
    return sum(map(_tokens, (bytes(fields[name]) for name in _PROMPT if name in fields)))


def longest_answer(fields: Mapping[str, Raw]) -> tuple[str, int] | None:
    """Answer the field that says how long the answer may be, and how many tokens; what can't be read is no limit."""
    for name in ANSWER_LIMITS:
        if name in fields:
            try:
                return name, max(_read_count(fields[name]), 0)
            except msgspec.DecodeError:
                return None  # A null, or the supplier's to refuse.
    return None


def estimated(told: Tokens, fields: Mapping[str, Raw], output: int) -> Tokens:
    """Fill in what was not told."""
    whole_input = prompt_tokens(fields) if told.input is None else told.input
    return replace(told, input=whole_input, output=max(told.output or 0, output), is_estimated=True)


def streamed_tokens(events: EventStream, fields: Mapping[str, Raw]) -> Tokens:
    """Answer what a stream has used: as told if it was told to the end, else estimated; a chunk is a token at least."""
    if events.has_all_tokens or not events.has_substance:
        return events.tokens
    text = events.passed_bytes - events.passed_events * events.frame_bytes
    return estimated(events.tokens, fields, max(-(-text // _BYTES_PER_TOKEN), events.passed_events))


def whole_tokens(told: Tokens, fields: Mapping[str, Raw], body: bytes) -> Tokens:
    """Answer what a whole answer in words has used: as told if it was told, else estimated from what it says."""
    if told.input is not None or told.output is not None:
        return told
    return estimated(told, fields, -(-said_bytes(body) // _BYTES_PER_TOKEN))


def _tokens(text: bytes) -> int:
    rest, files = _ENCODED.subn(b"", text)
    return -(-len(rest) // _BYTES_PER_TOKEN) + files * _FILE_TOKENS
