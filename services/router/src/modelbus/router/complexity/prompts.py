"""Finding the prompt in a request: of OpenAI's chat, completions and responses, and of Anthropic's messages."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from modelbus.router.complexity.features import Prompt

_USER = "user"
_TEXTS = frozenset(("text", "input_text"))
_ANSWERS = frozenset(("tool_result", "function_call_output"))
_ABSENT = (b"null", b"[]")


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str = ""


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: str | list[_Part] | None = None


class _Said(msgspec.Struct, frozen=True, gc=False):
    """What one message of the user holds."""

    text: str
    attached: int = 0


_messages = msgspec.json.Decoder(list[_Message]).decode
_texts = msgspec.json.Decoder(str | list[str]).decode
_items = msgspec.json.Decoder(list[Raw]).decode


def read_prompt(fields: Mapping[str, Raw]) -> Prompt:
    """Find what the user asks; what is not understood is taken for text as it stands, and left to the supplier."""
    said = _said(fields)
    last = said[-1] if said else _Said("")
    opening = said[0].text if len(said) > 1 else ""
    return Prompt(last.text, opening, max(len(said), 1), _tools(fields), last.attached)


def _said(fields: Mapping[str, Raw]) -> list[_Said]:
    """Answer the user's messages; the results of tools, which come in the user's name as well, are none."""
    if (raw := fields.get("messages")) is not None or (raw := fields.get("input")) is not None:
        try:
            return [said for message in _messages(raw) if message.role == _USER and (said := _held(message.content))]
        except msgspec.DecodeError:
            return _plain(raw)
    if (raw := fields.get("prompt")) is not None:
        return _plain(raw)
    return []


def _held(content: str | list[_Part] | None) -> _Said | None:
    if not isinstance(content, list):
        return _Said(content) if content else None
    texts = [part.text for part in content if part.type in _TEXTS]
    attached = sum(part.type not in _TEXTS | _ANSWERS for part in content)
    return _Said("\n".join(texts), attached) if texts or attached else None


def _plain(raw: Raw) -> list[_Said]:
    try:
        texts = _texts(raw)
    except msgspec.DecodeError:
        return [_Said(bytes(raw).decode(errors="replace"))]
    return [_Said(texts if isinstance(texts, str) else "\n".join(texts))]


def _tools(fields: Mapping[str, Raw]) -> int:
    raw = fields.get("tools", fields.get("functions"))
    if raw is None or bytes(raw) in _ABSENT:
        return 0
    try:
        return len(_items(raw))
    except msgspec.DecodeError:
        return 0
