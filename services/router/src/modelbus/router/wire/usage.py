"""Usage objects as suppliers tell them, split into disjoint kinds of tokens.

OpenAI's input includes what came from a cache and what was written to one; Anthropic's and Bedrock's exclude both.
Output includes reasoning everywhere but with Gemini and xAI, which tell it beside; where they speak as OpenAI does, the
sum is more than its two parts by as much.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.billing import NO_TIER, billed_apart

_usage = msgspec.json.Decoder(dict[str, Any]).decode

type _Told = Mapping[str, Any]


def tokens_of(usage: Raw | bytes, tier: Raw = NO_TIER) -> Tokens:
    """Split a usage object of any known shape; whatever can't be read counts as not told.

    `tier` is the `service_tier` that OpenAI tells beside the usage.
    """
    try:
        told = _usage(usage)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Tokens()
    for mark, read in _SHAPES:
        if mark in told:
            tokens, apart = read(told), billed_apart(told, tier)
            return replace(tokens, billed_apart=apart) if apart else tokens
    return Tokens()


def _openai(told: _Told) -> Tokens:
    """Chat, completions and embeddings, and whoever follows them in all but where cached input is told."""
    details = _within(told, "prompt_tokens_details")
    cached = _first(
        details.get("cached_tokens"),
        told.get("prompt_cache_hit_tokens"),
        told.get("num_cached_tokens"),
        told.get("cached_tokens"),
    )
    output, beside = _count(told.get("completion_tokens")), _beside(told)
    reasoning = _count(_within(told, "completion_tokens_details").get("reasoning_tokens"))
    if output is not None and beside and (not reasoning or reasoning == beside):
        output, reasoning = output + beside, beside
    return _including(told.get("prompt_tokens"), output, cached, _written(details), reasoning=reasoning)


def _responses(told: _Told) -> Tokens:
    """OpenAI's responses, images and transcriptions; or Anthropic's messages, which tell of caches in other words."""
    thought = _within(told, "output_tokens_details")
    reasoning = _first(thought.get("reasoning_tokens"), thought.get("thinking_tokens"))
    read, written = _count(told.get("cache_read_input_tokens")), _count(told.get("cache_creation_input_tokens"))
    if read is not None or written is not None:
        hour = _count(_within(told, "cache_creation").get("ephemeral_1h_input_tokens"))
        whole = _count(told.get("input_tokens"))
        return _disjoint(whole, told.get("output_tokens"), read, (written, hour), reasoning)
    details = _within(told, "input_tokens_details")
    cached = _first(details.get("cached_tokens"))
    return _including(
        told.get("input_tokens"), told.get("output_tokens"), cached, _written(details), reasoning=reasoning
    )


def _bedrock(told: _Told) -> Tokens:
    read, written = _count(told.get("cacheReadInputTokens")), _count(told.get("cacheWriteInputTokens"))
    parts = told.get("cacheDetails")
    hours = [each.get("inputTokens") for each in parts or () if each.get("ttl") == "1h"] if _are_objects(parts) else []
    hour = sum(filter(None, map(_count, hours)))
    return _disjoint(_count(told.get("inputTokens")), told.get("outputTokens"), read, (written, hour), None)


def _gemini(told: _Told) -> Tokens:
    prompt, tools = _count(told.get("promptTokenCount")), _count(told.get("toolUsePromptTokenCount"))
    cached = _count(told.get("cachedContentTokenCount"))
    whole = None if prompt is None else prompt + (tools or 0)
    return Tokens(
        input=_rest(whole, cached),
        cached_input=cached,
        output=_count(told.get("candidatesTokenCount")),
        reasoning=_count(told.get("thoughtsTokenCount")),
    )


def _cohere(told: _Told) -> Tokens:
    counted, cached = _within(told, "tokens"), _count(told.get("cached_tokens"))
    return _including(counted.get("input_tokens"), counted.get("output_tokens"), cached, None, reasoning=None)


# By the field that only this shape has; the first that is there decides.
_SHAPES: tuple[tuple[str, Callable[[_Told], Tokens]], ...] = (
    ("prompt_tokens", _openai),
    ("completion_tokens", _openai),
    ("input_tokens", _responses),
    ("output_tokens", _responses),
    ("promptTokenCount", _gemini),
    ("inputTokens", _bedrock),
    ("tokens", _cohere),
    ("total_tokens", lambda told: Tokens(input=_count(told.get("total_tokens")))),
)


def _including(
    whole_input: object, whole_output: object, cached: int | None, written: int | None, *, reasoning: int | None
) -> Tokens:
    """Take the parts out of the whole."""
    return Tokens(
        input=_rest(_count(whole_input), (cached or 0) + (written or 0)),
        cached_input=cached,
        output=_rest(_count(whole_output), reasoning),
        reasoning=reasoning,
        cache_write=written,
    )


def _disjoint(
    fresh: int | None,
    whole_output: object,
    cached: int | None,
    write: tuple[int | None, int | None],
    reasoning: int | None,
) -> Tokens:
    """Take what is told as it is; `write` is all that was written to a cache, and what of that is for an hour."""
    written, hour = write
    return Tokens(
        input=fresh,
        cached_input=cached,
        output=_rest(_count(whole_output), reasoning),
        reasoning=reasoning,
        cache_write=written,
        cache_write_1h=min(hour, written) if hour and written else None,
    )


def _beside(told: _Told) -> int | None:
    """Count what the sum holds beside prompt and completion: xAI and Gemini's OpenAI path put reasoning there."""
    prompt, completion = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    whole = _count(told.get("total_tokens"))
    return None if prompt is None or completion is None or whole is None else max(whole - prompt - completion, 0)


def _written(details: _Told) -> int | None:
    return _first(details.get("cache_write_tokens"), details.get("cache_creation_tokens"))


def _within(told: _Told, name: str) -> _Told:
    inner = told.get(name)
    return inner if isinstance(inner, dict) else {}


def _are_objects(parts: object) -> bool:
    return isinstance(parts, list) and all(isinstance(each, dict) for each in parts)


def _first(*values: object) -> int | None:
    return next((count for value in values if (count := _count(value)) is not None), None)


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _rest(whole: int | None, part: int | None) -> int | None:
    return None if whole is None else max(whole - (part or 0), 0)
