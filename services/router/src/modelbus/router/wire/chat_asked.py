"""A chat completion asked for in OpenAI's words, said in Anthropic's.

https://platform.openai.com/docs/api-reference/chat/create, https://docs.claude.com/en/api/messages. What is dropped
follows what Anthropic's layer for OpenAI clients ignores (https://docs.claude.com/en/api/openai-sdk), less what would
change the shape of the answer: that is refused.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from modelbus.router.domain.errors import UntranslatableError
from modelbus.router.wire.asked import list_in
from modelbus.router.wire.chat_parts import blocks_of, system_blocks_of, tool_result_of

MOST_TOKENS = 4096
"""What an answer may have where the caller says nothing; Anthropic must be told, and all its models can say so much."""
_SAME = ("temperature", "top_p", "stream")
_ANTHROPICS_OWN = ("top_k", "thinking", "output_config")
# Whether a value asks for nothing is told by the value; anything else of these fields would change what is answered.
_ASKS_NOTHING: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "audio": (),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "web_search_options": (),
}


def messages_request(asked: Mapping[str, Any], upstream_name: str) -> dict[str, Any]:
    """Say the request in Anthropic's words.

    Raises:
        UntranslatableError: Anthropic has no word for something that matters.
    """
    _demand_nothing_unknown(asked)
    system, messages = _messages(asked)
    said: dict[str, Any] = {"model": upstream_name, "max_tokens": _most_tokens(asked), "messages": messages}
    if system:
        said["system"] = system[0]["text"] if len(system) == 1 and len(system[0]) == 2 else system  # noqa: PLR2004 - type and text
    said |= {name: asked[name] for name in (*_SAME, *_ANTHROPICS_OWN) if asked.get(name) is not None}
    if isinstance(said.get("temperature"), int | float):
        said["temperature"] = min(said["temperature"], 1)
    if (stop := asked.get("stop")) is not None:
        said["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if isinstance(user := asked.get("safety_identifier") or asked.get("user"), str):
        said["metadata"] = {"user_id": user}
    said |= _tools(asked)
    _ask_for_format(asked, said)
    return said


def _demand_nothing_unknown(asked: Mapping[str, Any]) -> None:
    for name, nothing in _ASKS_NOTHING.items():
        if asked.get(name) is not None and asked[name] not in nothing:
            raise UntranslatableError(name, "Anthropic has no word for it")


def _most_tokens(asked: Mapping[str, Any]) -> Any:
    told = asked.get("max_completion_tokens")
    told = asked.get("max_tokens") if told is None else told
    return MOST_TOKENS if told is None else told


def _messages(asked: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Answer the system's blocks and the messages; what the system says in mid-conversation goes to its beginning."""
    system: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for index, message in enumerate(list_in(asked, "messages")):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise UntranslatableError(where, "it must be an object")
        match message.get("role"):
            case "system" | "developer":
                system += system_blocks_of(message, where)
            case "user":
                _say(messages, "user", blocks_of(message, where))
            case "assistant":
                _say(messages, "assistant", blocks_of(message, where) + _calls(message, where))
            case "tool":
                _say(messages, "user", [tool_result_of(message, where)])
            case _:
                raise UntranslatableError(f"{where}.role", "it must be system, developer, user, assistant or tool")
    return system, [_brief(message) for message in messages]


def _say(messages: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    """Add to what that side has just said: results of parallel calls must come in one message."""
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    elif blocks:
        messages.append({"role": role, "content": blocks})


def _brief(message: dict[str, Any]) -> dict[str, Any]:
    match message["content"]:
        case [{"type": "text", "text": text, **more}] if not more:
            return message | {"content": text}
    return message


def _calls(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    calls = []
    for index, call in enumerate(list_in(message, "tool_calls", where)):
        at = f"{where}.tool_calls[{index}]"
        match call:
            case {"id": str(id_), "function": {"name": str(name), "arguments": str(arguments)}}:
                calls.append({"type": "tool_use", "id": id_, "name": name, "input": _arguments(arguments, at)})
            case _:
                raise UntranslatableError(at, "it must be a call of a function, with id, name and arguments")
    return calls


def _arguments(written: str, where: str) -> dict[str, Any]:
    try:
        read = msgspec.json.decode(written or "{}")
    except (msgspec.DecodeError, RecursionError) as error:
        raise UntranslatableError(f"{where}.function.arguments", "it must be JSON") from error
    if not isinstance(read, dict):
        raise UntranslatableError(f"{where}.function.arguments", "it must be a JSON object")
    return read


def _tools(asked: Mapping[str, Any]) -> dict[str, Any]:
    tools = []
    for index, tool in enumerate(list_in(asked, "tools")):
        match tool:
            case {"type": "function", "function": {"name": str(name)} as function}:
                parameters = function.get("parameters") or {"type": "object", "properties": {}}
                told = {"name": name, "description": function.get("description"), "input_schema": parameters}
                told["cache_control"] = tool.get("cache_control")
                tools.append({key: value for key, value in told.items() if value is not None})
            case _:
                raise UntranslatableError(f"tools[{index}]", "only functions are known to Anthropic")
    if not tools:
        return {}
    choice = _tool_choice(asked.get("tool_choice"))
    if asked.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    return {"tools": tools} | ({"tool_choice": choice} if choice else {})


def _tool_choice(choice: object) -> dict[str, Any] | None:
    match choice:
        case None:
            return None
        case "auto" | "none":
            return {"type": choice}
        case "required":
            return {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "tool", "name": name}
    raise UntranslatableError("tool_choice", "it must be none, auto, required or one function")


def _ask_for_format(asked: Mapping[str, Any], said: dict[str, Any]) -> None:
    match asked.get("response_format"):
        case None | {"type": "text"}:
            pass
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            wished = said.get("output_config")
            form = {"format": {"type": "json_schema", "schema": schema}}
            said["output_config"] = (wished if isinstance(wished, dict) else {}) | form
        case _:
            raise UntranslatableError("response_format", "Anthropic knows text and json_schema")
