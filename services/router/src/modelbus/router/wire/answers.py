"""Whole answers of one protocol, said in the words of the other.

https://docs.claude.com/en/api/messages, https://platform.openai.com/docs/api-reference/chat/object
"""

from collections.abc import Mapping
from time import time
from typing import Any

import msgspec

from modelbus.router.domain.errors import MalformedAnswerError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.reading import read_fields, written
from modelbus.router.wire.told import Told, reason_of
from modelbus.router.wire.usage import tokens_of

FINISH_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
STOP_REASONS: Mapping[str, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def completion_of(body: bytes) -> Told:
    """Say Anthropic's message as a chat completion.

    Raises:
        MalformedAnswerError: it is no message.
    """
    message = read_fields(body, "answered no JSON object")
    match message:
        case {"content": list(blocks), "stop_reason": str(stop_reason)}:
            choice = {
                "index": 0,
                "message": _chat_message(blocks),
                "logprobs": None,
                "finish_reason": FINISH_REASONS.get(stop_reason, "stop"),
            }
        case _:
            raise MalformedAnswerError("answered no message", "no content or no stop_reason")
    tokens = _tokens(message)
    completion = {
        "id": text_in(message, "id"),
        "object": "chat.completion",
        "created": int(time()),
        "model": text_in(message, "model"),
        "choices": [choice],
        "usage": chat_usage(tokens),
    }
    return Told(written(completion), tokens, reason_of(stop_reason))


def message_of(body: bytes) -> Told:
    """Say a chat completion as Anthropic's message; of several choices the first.

    Raises:
        MalformedAnswerError: it is no completion, or calls a tool with what is no JSON object.
    """
    completion = read_fields(body, "answered no JSON object")
    match completion:
        case {"choices": [{"message": dict(said), "finish_reason": str(finish_reason)}, *_]}:
            content = _blocks(said)
        case _:
            raise MalformedAnswerError("answered no completion", "no choice with a message and a finish_reason")
    tokens = _tokens(completion)
    stop_reason = "refusal" if said.get("refusal") else STOP_REASONS.get(finish_reason, "end_turn")
    message = message_shell(completion) | {
        "content": content,
        "stop_reason": stop_reason,
        "usage": message_usage(tokens),
    }
    return Told(written(message), tokens, reason_of(finish_reason))


def message_shell(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a message in which nothing has been said yet, for an answer or a piece of one."""
    return {
        "id": text_in(answer, "id"),
        "type": "message",
        "role": "assistant",
        "model": text_in(answer, "model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": message_usage(Tokens()),
    }


def chat_usage(tokens: Tokens) -> dict[str, Any]:
    """Tell tokens as OpenAI does: input includes what came from caches and what went there."""
    prompt = (tokens.input or 0) + (tokens.cached_input or 0) + (tokens.cache_write or 0)
    completion = (tokens.output or 0) + (tokens.reasoning or 0)
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    details = {"cached_tokens": tokens.cached_input, "cache_write_tokens": tokens.cache_write}
    if told := {name: count for name, count in details.items() if count is not None}:
        usage["prompt_tokens_details"] = told
    if tokens.reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": tokens.reasoning}
    return usage


def message_usage(tokens: Tokens) -> dict[str, Any]:
    """Tell tokens as Anthropic does: input is what came from no cache."""
    usage: dict[str, Any] = {
        "input_tokens": tokens.input or 0,
        "cache_creation_input_tokens": tokens.cache_write or 0,
        "cache_read_input_tokens": tokens.cached_input or 0,
        "output_tokens": (tokens.output or 0) + (tokens.reasoning or 0),
    }
    if tokens.reasoning is not None:
        usage["output_tokens_details"] = {"thinking_tokens": tokens.reasoning}
    return usage


def calls_in(said: Mapping[str, Any]) -> list[Any]:
    """Answer the calls of tools in what an assistant says, or in a piece of it.

    Raises:
        MalformedAnswerError: they are no list.
    """
    calls = said.get("tool_calls") or []
    if not isinstance(calls, list):
        raise MalformedAnswerError("called tools by what is no list")
    return calls


def text_in(holder: Mapping[str, Any], name: str) -> str:
    """Answer the text of that name; nothing if there is none, or something else."""
    found = holder.get(name)
    return found if isinstance(found, str) else ""


def _chat_message(blocks: list[Any]) -> dict[str, Any]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for block in blocks:
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "thinking", "thinking": str(thought)}:
                thoughts.append(thought)
            case {"type": "tool_use", "id": str(id_), "name": str(name), "input": dict(given)}:
                function = {"name": name, "arguments": msgspec.json.encode(given).decode()}
                calls.append({"id": id_, "type": "function", "function": function})
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts else None, "refusal": None}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    return message | ({"tool_calls": calls} if calls else {})


def _blocks(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if isinstance(thought := said.get("reasoning_content"), str) and thought:
        blocks.append({"type": "thinking", "thinking": thought, "signature": ""})
    text = said.get("content") or said.get("refusal")
    if isinstance(text, str) and text:
        blocks.append({"type": "text", "text": text, "citations": None})
    for call in calls_in(said):
        match call:
            case {"id": str(id_), "function": {"name": str(name), "arguments": str(arguments)}}:
                blocks.append({"type": "tool_use", "id": id_, "name": name, "input": _arguments(arguments)})
            case _:
                raise MalformedAnswerError("answered no completion", "a call of a tool without id, name or arguments")
    return blocks


def _arguments(arguments: str) -> dict[str, Any]:
    return read_fields(arguments.encode() or b"{}", "called a tool with what is no JSON object")


def _tokens(answer: Mapping[str, Any]) -> Tokens:
    usage = answer.get("usage")
    return tokens_of(msgspec.json.encode(usage)) if isinstance(usage, dict) else Tokens()
