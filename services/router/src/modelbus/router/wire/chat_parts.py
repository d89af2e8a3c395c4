"""The content of OpenAI's messages, as Anthropic's blocks."""

import re
from collections.abc import Mapping
from typing import Any

from modelbus.router.domain.errors import UntranslatableError

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)


def blocks_of(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Answer the blocks of a user's or an assistant's content; empty texts, which Anthropic refuses, are left out.

    Raises:
        UntranslatableError: a part has no equal.
    """
    content = message.get("content")
    match content:
        case None:
            return []
        case str():
            return [{"type": "text", "text": content}] if content else []
        case list():
            blocks = [_block(part, f"{where}.content[{index}]") for index, part in enumerate(content)]
            return [block for block in blocks if block.get("text") != ""]
    raise UntranslatableError(f"{where}.content", "it must be a text or a list of parts")


def system_blocks_of(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """Answer the blocks of what the system says: texts only.

    Raises:
        UntranslatableError: there is something else.
    """
    blocks = blocks_of(message, where)
    for index, block in enumerate(blocks):
        if block["type"] != "text":
            raise UntranslatableError(f"{where}.content[{index}]", "the system can say text only")
    return blocks


def tool_result_of(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Answer the block that tells what a tool answered.

    Raises:
        UntranslatableError: it does not say which call it answers.
    """
    call = message.get("tool_call_id")
    if not isinstance(call, str):
        raise UntranslatableError(f"{where}.tool_call_id", "it must be a text")
    content = message.get("content")
    return {
        "type": "tool_result",
        "tool_use_id": call,
        "content": content if isinstance(content, str) else blocks_of(message, where),
    }


def _block(part: object, where: str) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            block: dict[str, Any] = {"type": "text", "text": text}
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            block = {"type": "image", "source": _source(url)}
        case {"type": "file", "file": {"file_data": str(url), **about}} if url.startswith("data:"):
            block = {"type": "document", "source": _source(url)}
            if isinstance(name := about.get("filename"), str):
                block["title"] = name
        case _:
            raise UntranslatableError(where, "only text, images and files with their data are known to Anthropic")
    if isinstance(part, dict) and part.get("cache_control") is not None:
        block["cache_control"] = part["cache_control"]
    return block


def _source(url: str) -> dict[str, Any]:
    if found := _DATA_URL.fullmatch(url):
        return {"type": "base64", "media_type": found[1], "data": found[2]}
    return {"type": "url", "url": url}
