"""A message asked for in Anthropic's words, said in OpenAI's.

https://docs.claude.com/en/api/messages, https://platform.openai.com/docs/api-reference/chat/create
"""

import re
from collections.abc import Mapping
from typing import Any

from modelbus.router.domain.errors import UntranslatableError
from modelbus.router.wire.asked import list_in
from modelbus.router.wire.messages_blocks import chat_messages_of, system_text_of

_SAME = ("temperature", "top_p", "stream")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# These refuse `max_tokens`; many others know nothing else.
_REASONERS = re.compile(r"(?:.*/)?(?:o\d|gpt-5)")
_REFUSED = ("mcp_servers", "container")


def chat_request(asked: Mapping[str, Any], upstream_name: str) -> dict[str, Any]:
    """Say the request in OpenAI's words.

    Raises:
        UntranslatableError: OpenAI has no word for something that matters.
    """
    for name in _REFUSED:
        if asked.get(name):
            raise UntranslatableError(name, "OpenAI's chat has no word for it")
    messages = [{"role": "system", "content": text}] if (text := system_text_of(asked.get("system"))) else []
    said: dict[str, Any] = {"model": upstream_name, "messages": messages + _messages(asked)}
    said |= {name: asked[name] for name in _SAME if asked.get(name) is not None}
    if (most := asked.get("max_tokens")) is not None:
        said["max_completion_tokens" if _REASONERS.match(upstream_name) else "max_tokens"] = most
    if asked.get("stop_sequences"):
        said["stop"] = asked["stop_sequences"]
    if said.get("stream") is True:
        said["stream_options"] = {"include_usage": True}
    match asked.get("metadata"):
        case {"user_id": str(user)}:
            said["user"] = user
    return said | _tools(asked) | _format(asked)


def _messages(asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for index, message in enumerate(list_in(asked, "messages")):
        messages += chat_messages_of(message, f"messages[{index}]")
    return messages


def _tools(asked: Mapping[str, Any]) -> dict[str, Any]:
    tools = []
    for index, tool in enumerate(list_in(asked, "tools")):
        match tool:
            case {"name": str(name), "input_schema": dict(schema)} if tool.get("type") in (None, "custom"):
                function = {"name": name, "description": tool.get("description"), "parameters": schema}
                told = {key: value for key, value in function.items() if value is not None}
                tools.append({"type": "function", "function": told})
            case _:
                raise UntranslatableError(f"tools[{index}]", "a tool that Anthropic runs itself has no equal elsewhere")
    if not tools:
        return {}
    said: dict[str, Any] = {"tools": tools}
    match asked.get("tool_choice"):
        case None:
            pass
        case {"type": "tool", "name": str(name)}:
            said["tool_choice"] = {"type": "function", "function": {"name": name}}
        case {"type": ("auto" | "any" | "none") as kind}:
            said["tool_choice"] = _CHOICES[kind]
        case _:
            raise UntranslatableError("tool_choice", "it must be auto, any, none or one tool")
    match asked.get("tool_choice"):
        case {"disable_parallel_tool_use": True}:
            said["parallel_tool_calls"] = False
    return said


def _format(asked: Mapping[str, Any]) -> dict[str, Any]:
    match asked:
        case {"output_config": {"format": {"type": "json_schema", "schema": dict(schema)}}} | {
            "output_format": {"type": "json_schema", "schema": dict(schema)}
        }:
            return {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": schema, "strict": True},
                }
            }
    return {}
