"""What a usage object tells that suppliers bill otherwise than tokens of text, and that prices have no field for."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw

NO_TIER = Raw(b"null")

# The words that stand for the list price.
_USUAL_TIERS = ("standard", "default", "auto", "on_demand", "")
_USUAL_RAW = frozenset((b"null", *(b'"%b"' % each.encode() for each in _USUAL_TIERS)))


def billed_apart(told: Mapping[str, Any], tier: Raw = NO_TIER) -> tuple[str, ...]:
    """Name what makes a cost by tokens of text only near; `tier` is where OpenAI tells it, beside the usage."""
    found: tuple[str, ...] = ()
    for name, value in told.items():
        if value and (read := _READERS.get(name)) is not None:
            found += read(value)
    if tier is not NO_TIER and bytes(tier) not in _USUAL_RAW:
        found += ("service_tier",)
    return tuple(dict.fromkeys(found)) if found else found


def _audio(details: object) -> tuple[str, ...]:
    return ("audio",) if isinstance(details, dict) and _is_some(details.get("audio_tokens")) else ()


def _media(details: object) -> tuple[str, ...]:
    is_image = isinstance(details, dict) and _is_some(details.get("image_tokens"))
    return (*_audio(details), "image") if is_image else _audio(details)


def _heard(parts: object) -> tuple[str, ...]:
    return ("audio",) if _has_modality(parts, "AUDIO") else ()


def _made(parts: object) -> tuple[str, ...]:
    return (*_heard(parts), "image") if _has_modality(parts, "IMAGE") else _heard(parts)


def _has_modality(parts: object, modality: str) -> bool:
    each_part = parts if isinstance(parts, list) else ()
    return any(
        isinstance(each, dict) and each.get("modality") == modality and _is_some(each.get("tokenCount"))
        for each in each_part
    )


def _searched(tools: object) -> tuple[str, ...]:
    return ("web_search",) if isinstance(tools, dict) and _is_some(tools.get("web_search_requests")) else ()


def _other_than(name: str, *usual: str) -> Callable[[object], tuple[str, ...]]:
    return lambda value: (name,) if isinstance(value, str) and value not in usual else ()


def _is_some(count: object) -> bool:
    return type(count) is int and count > 0


# Language models read images at the price of text; what is drawn is dearer, and what models that draw are shown.
_READERS: dict[str, Callable[[object], tuple[str, ...]]] = {
    "prompt_tokens_details": _audio,
    "completion_tokens_details": _media,
    "input_tokens_details": _media,
    "input_token_details": _audio,
    "output_tokens_details": _media,
    "promptTokensDetails": _heard,
    "cacheTokensDetails": _heard,
    "toolUsePromptTokensDetails": _heard,
    "candidatesTokensDetails": _made,
    "server_tool_use": _searched,
    "service_tier": _other_than("service_tier", *_USUAL_TIERS),
    "serviceTier": _other_than("service_tier", *_USUAL_TIERS),
    "inference_geo": _other_than("inference_geo", "global", "not_available"),
    "speed": _other_than("speed", "standard"),
}
