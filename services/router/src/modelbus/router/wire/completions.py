"""Reading a supplier's completions, whole or in chunks: only what the router must know of them."""

import msgspec
from msgspec import Raw

from modelbus.router.wire.billing import NO_TIER
from modelbus.router.wire.reading import read
from modelbus.router.wire.told import Told, raw_reason
from modelbus.router.wire.usage import tokens_of

_NOTHING = Raw(b"null")
_EMPTY = frozenset((b"", b"null", b'""', b"[]", b"{}"))


class _Ended(msgspec.Struct, gc=False):
    finish_reason: Raw = _NOTHING


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Ended]
    usage: Raw = _NOTHING
    service_tier: Raw = NO_TIER


class _Choice(msgspec.Struct, gc=False):
    delta: dict[str, Raw] | None = None
    text: str | None = None
    """Of a completion that is no chat."""
    finish_reason: str | None = None

    @property
    def has_substance(self) -> bool:
        return (
            bool(self.finish_reason)
            or bool(self.text)
            or any(name != "role" and bytes(value) not in _EMPTY for name, value in (self.delta or {}).items())
        )


class Chunk(msgspec.Struct, gc=False):
    """One event of a streamed completion."""

    choices: list[_Choice] | None = None
    usage: Raw = _NOTHING
    error: Raw = _NOTHING
    service_tier: Raw = NO_TIER

    @property
    def finish_reason(self) -> str | None:
        """Why a choice ended, if it tells that; of several the first."""
        for choice in self.choices or ():
            # Some suppliers send an empty one with every chunk.
            if choice.finish_reason:
                return choice.finish_reason
        return None

    @property
    def has_substance(self) -> bool:
        """It carries more than the opening: a first token, a tool call, or an end."""
        return any(choice.has_substance for choice in self.choices or ())

    @property
    def is_error(self) -> bool:
        """It tells that the supplier gave up."""
        return bytes(self.error) not in _EMPTY

    @property
    def is_usage_only(self) -> bool:
        """It is the event that `include_usage` adds."""
        return not self.choices and bytes(self.usage) not in _EMPTY


_completion = msgspec.json.Decoder(_Completion).decode
_chunk = msgspec.json.Decoder(Chunk).decode


def read_completion(body: bytes) -> Told:
    """Check that the body is a completion, and answer it with its tokens and why its first choice ended.

    Raises:
        MalformedAnswerError: it is none.
    """
    told = read(_completion, body, "answered no completion")
    tokens = tokens_of(told.usage, told.service_tier)
    return Told(body, tokens, raw_reason(told.choices[0].finish_reason) if told.choices else None)


def read_chunk(payload: bytes) -> Chunk:
    """Read one event of a stream.

    Raises:
        MalformedAnswerError: it is no JSON object, or not of a completion's shape.
    """
    return read(_chunk, payload, "sent a malformed event")
