"""What a supplier told with a whole answer, and why the answer ended, in the supplier's own word."""

from typing import NamedTuple

import msgspec
from msgspec import Raw

from modelbus.router.ledger.entries import Tokens

_LONGEST_REASON = 64
_INCOMPLETE = "incomplete"
_ENDS = frozenset({"completed", _INCOMPLETE, "failed", "cancelled"})
_text = msgspec.json.Decoder(str).decode


class Told(NamedTuple):
    """A whole answer."""

    body: bytes
    """In the caller's words."""
    tokens: Tokens
    end_reason: str | None = None


class _Details(msgspec.Struct, gc=False):
    reason: Raw = Raw(b"null")


_details = msgspec.json.Decoder(_Details).decode


def reason_of(word: str | None) -> str | None:
    """Answer the word as it may be recorded: a long one is cut, and what can't be printed is none."""
    return word[:_LONGEST_REASON] if word and word.isprintable() else None


def raw_reason(word: Raw) -> str | None:
    """Answer what is told there, if it is a word."""
    try:
        return reason_of(_text(word))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def response_reason(status: str | None, details: Raw) -> str | None:
    """Answer why a response of OpenAI's ended: its status, or the details of one that is incomplete."""
    if status not in _ENDS:
        return None
    if status != _INCOMPLETE:
        return status
    try:
        return raw_reason(_details(details).reason) or status
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return status
