"""What a supplier says in a refusal of whatever shape, so that its words are not lost where its envelope is strange."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

_LONGEST = 1000
_KIND = re.compile(r"[A-Za-z_.]{1,64}|\d{1,3}")
_fields = msgspec.json.Decoder(dict[str, Any]).decode
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


def kind_of(error: Raw | bytes) -> str:
    """Answer by which code or type an error is told, wherever it stands, for the usage record; empty if by none.

    Never its words: they quote prompts, and sometimes the key. Neither is a word of letters alone.
    """
    try:
        told = _fields(error)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    within = told.get("error")
    holders: list[Mapping[str, Any]] = [within, told] if isinstance(within, dict) else [told]
    for kind in (holder.get(name) for holder in holders for name in ("code", "type")):
        if type(kind) in (str, int) and _KIND.fullmatch(str(kind)) and kind != "error":
            return str(kind)
    return ""


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
