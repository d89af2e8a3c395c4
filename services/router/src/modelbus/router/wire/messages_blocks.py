"""Anthropic's blocks, as OpenAI's messages and their parts."""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelbus.router.domain.errors import UntranslatableError

_THOUGHTS = ("thinking", "redacted_thinking")


def system_text_of(system: object) -> str:
    """Answer what the system says as one text.

    Raises:
        UntranslatableError: it is not text.
    """
    if system is None or isinstance(system, str):
        return system or ""
    return _text(system, "system")


def chat_messages_of(message: object, where: str) -> list[dict[str, Any]]:
    """Answer the message as OpenAI has it: results of tools are messages of their own, and come first.

    Raises:
        UntranslatableError: something in it has no equal.
    """
    match message:
        case {"role": ("user" | "assistant" | "system") as role, "content": str(text)}:
            return [{"role": role, "content": text}]
        case {"role": "user", "content": list(blocks)}:
            return _users(blocks, where)
        case {"role": "assistant", "content": list(blocks)}:
            return [_assistants(blocks, where)]
        case {"role": "system", "content": list(blocks)}:
            return [{"role": "system", "content": _text(blocks, f"{where}.content")}]
    raise UntranslatableError(where, "it must have the role user or assistant, and content")


def _users(blocks: list[Any], where: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for index, block in enumerate(blocks):
        at = f"{where}.content[{index}]"
        match block:
            case {"type": "tool_result", "tool_use_id": str(call)}:
                text, shown = _result(block.get("content"), f"{at}.content")
                results.append({"role": "tool", "tool_call_id": call, "content": text})
                parts += shown
            case _:
                parts.append(_part(block, at))
    if not parts:
        return results
    is_text = len(parts) == 1 and parts[0].keys() == {"type", "text"}
    return [*results, {"role": "user", "content": parts[0]["text"] if is_text else parts}]


def _result(content: object, where: str) -> tuple[str, list[dict[str, Any]]]:
    """Answer the text of a tool's result, and its images, which OpenAI takes from users only."""
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise UntranslatableError(where, "it must be a text or a list of blocks")
    parts = [_part(block, f"{where}[{index}]") for index, block in enumerate(content)]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return "\n".join(texts), [part for part in parts if part["type"] != "text"]


def _assistants(blocks: list[Any], where: str) -> dict[str, Any]:
    """Answer one message; thoughts, which only their own supplier can read, are left out."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for index, block in enumerate(blocks):
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "tool_use", "id": str(id_), "name": str(name), "input": dict(given)}:
                function = {"name": name, "arguments": msgspec.json.encode(given).decode()}
                calls.append({"id": id_, "type": "function", "function": function})
            case {"type": str(kind)} if kind in _THOUGHTS:
                pass
            case _:
                raise UntranslatableError(f"{where}.content[{index}]", "only text and calls of own tools have an equal")
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None}
    return message | ({"tool_calls": calls} if calls else {})


def _part(block: object, where: str) -> dict[str, Any]:
    match block:
        case {"type": "text", "text": str(text)}:
            part: dict[str, Any] = {"type": "text", "text": text}
        case {"type": "image", "source": dict(source)}:
            part = {"type": "image_url", "image_url": {"url": _url(source, where)}}
        case {"type": "document", "source": {"type": "base64", "media_type": str(kind), "data": str(encoded)}, **about}:
            file = {"filename": about.get("title") or "document.pdf", "file_data": f"data:{kind};base64,{encoded}"}
            part = {"type": "file", "file": file}
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            part = {"type": "text", "text": text}
        case _:
            raise UntranslatableError(where, "only text, images and documents with their data have an equal")
    if isinstance(block, dict) and block.get("cache_control") is not None:
        part["cache_control"] = block["cache_control"]
    return part


def _url(source: Mapping[str, Any], where: str) -> str:
    match source:
        case {"type": "base64", "media_type": str(kind), "data": str(encoded)}:
            return f"data:{kind};base64,{encoded}"
        case {"type": "url", "url": str(url)}:
            return url
    raise UntranslatableError(f"{where}.source", "it must hold the data, or a URL")


def _text(blocks: object, where: str) -> str:
    texts = []
    for index, block in enumerate(blocks if isinstance(blocks, list) else [blocks]):
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case _:
                raise UntranslatableError(f"{where}[{index}]", "it must be text")
    return "\n\n".join(texts)
