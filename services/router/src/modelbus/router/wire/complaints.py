"""What a supplier says in a refusal of whatever shape, so that its words are not lost where its envelope is strange."""

from collections.abc import Mapping
from typing import Any

import msgspec

_LONGEST = 1000
_NAMES = ("message", "detail", "error", "error_description", "errors", "msg", "title", "reason")


def words_of(told: bytes) -> str | None:
    """Answer the words of a complaint; None where there are none, or only a page for people."""
    try:
        text = told.decode().strip()
    except UnicodeDecodeError:
        return None
    if not text or text.startswith("<"):
        return None
    try:
        said = _said(msgspec.json.decode(text))
    except (msgspec.DecodeError, RecursionError):
        said = text
    return " ".join(said.split())[:_LONGEST] if said else None


def _said(content: Any) -> str | None:
    """Find the words: under the usual names, else all that there is, as it was written."""
    if content in (None, "", [], {}):
        return None
    if isinstance(content, str):
        return content
    if isinstance(content, list) and len(content) == 1:
        return _said(content[0])
    if isinstance(content, Mapping):
        for name in _NAMES:
            if said := _said(content.get(name)):
                return said
        if all(value is None for value in content.values()):
            return None
    return msgspec.json.encode(content).decode()
