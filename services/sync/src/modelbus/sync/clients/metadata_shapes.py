"""Shapes of metadata files: models.dev, in USD per million tokens, and price maps, in USD per token.

https://models.dev/api.json, https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from modelbus.sync.clients.answers import parse
from modelbus.sync.clients.entries import count_of
from modelbus.sync.domain.errors import UnusableAnswerError
from modelbus.sync.domain.metadata import Entry, Facts
from modelbus.sync.domain.modalities import abilities_by, arrow, read_modalities, type_by
from modelbus.sync.domain.moments import read_moment
from modelbus.sync.domain.names import display_name, why_unusable
from modelbus.sync.domain.prices import Unit, per_million, per_piece, read_amount

MODELS_DEV, PRICE_MAP = "models.dev", "price map"
_DAY = re.compile(r"(20\d\d-\d\d)(-\d\d)?", re.ASCII)
_MODELS_DEV_PRICES = {
    "input": "input",
    "output": "output",
    "cached_input": "cache_read",
    "cache_write": "cache_write",
    "reasoning": "reasoning",
}
_PRICE_MAP_PRICES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "reasoning": "output_cost_per_reasoning_token",
}
_PIECES = {"request": "input_cost_per_request", "image": "output_cost_per_image"}
_MODELS_DEV_ABILITIES = {"tool_call": "tools", "reasoning": "reasoning", "structured_output": "structured_output"}
_PRICE_MAP_ABILITIES = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "structured_output",
    "supports_reasoning": "reasoning",
    "supports_web_search": "web_search",
    "supports_audio_input": "audio_input",
    "supports_pdf_input": "documents",
}
_TYPES = {
    "chat": "language",
    "completion": "language",
    "responses": "language",
    "embedding": "embedding",
    "image_generation": "image",
    "audio_transcription": "audio",
    "audio_speech": "audio",
    "video_generation": "video",
    "moderation": "moderation",
    "rerank": "rerank",
}


@dataclass(frozen=True, slots=True)
class Read:
    """What a file holds."""

    shape: str
    entries: list[Entry]
    left_out: int
    """Entries that can't be a model."""


def read_metadata(body: bytes) -> Read:
    """Read a file of either shape; fields that nobody knows are passed over.

    Raises:
        UnusableAnswerError: it is of neither, or holds no model.
    """
    document = parse(body)
    if not isinstance(document, dict):
        raise UnusableAnswerError("the file holds no object of providers or models at its top")
    is_nested = any(isinstance(each, dict) and isinstance(each.get("models"), dict) for each in document.values())
    shape, found = (MODELS_DEV, _of_providers(document)) if is_nested else (PRICE_MAP, _of_prices(document))
    read = list(found)
    entries = [entry for entry in read if entry is not None]
    if not entries:
        raise UnusableAnswerError("the file holds no model, neither in the shape of models.dev nor in a price map's")
    return Read(shape, entries, len(read) - len(entries))


def _of_providers(document: Mapping[str, Any]) -> Iterator[Entry | None]:
    for provider, about in document.items():
        models = about.get("models") if isinstance(about, dict) else None
        for name, told in models.items() if isinstance(models, dict) else ():
            yield _of_models_dev(provider, name, told) if isinstance(told, dict) and _is_usable(name) else None


def _of_models_dev(provider: str, name: str, told: dict[str, Any]) -> Entry:
    modalities = told.get("modalities")
    pair = modalities if isinstance(modalities, dict) else {}
    taken, given = read_modalities(pair.get("input")), read_modalities(pair.get("output"))
    facts = Facts(
        display_name=display_name(told.get("name")),
        model_type=type_by(taken, given),
        context_window=count_of(told.get("limit"), "context"),
        max_output_tokens=count_of(told.get("limit"), "output"),
        modalities=arrow(taken, given),
        capabilities=_abilities(told, _MODELS_DEV_ABILITIES, abilities_by(taken, given)),
        knowledge_cutoff=_day(told.get("knowledge")),
    )
    return Entry(provider, name, facts, _prices(told.get("cost"), _MODELS_DEV_PRICES, Unit.PER_MILLION))


def _of_prices(document: Mapping[str, Any]) -> Iterator[Entry | None]:
    for name, told in document.items():
        if name == "sample_spec":
            continue
        is_entry = isinstance(told, dict) and isinstance(told.get("litellm_provider"), str) and _is_usable(name)
        yield _of_price_map(name, told) if is_entry else None


def _of_price_map(key: str, told: dict[str, Any]) -> Entry:
    provider = str(told["litellm_provider"])
    taken = read_modalities(told.get("supported_modalities"))
    given = read_modalities(told.get("supported_output_modalities"))
    mode = told.get("mode")
    model_type = type_by(taken, given) if taken and given else _TYPES.get(mode) if isinstance(mode, str) else None
    is_image = mode == "image_generation"
    facts = Facts(
        model_type=model_type,
        context_window=count_of(told, "max_input_tokens"),
        max_output_tokens=count_of(told, "max_output_tokens"),
        modalities=arrow(taken, given) if taken and given else None,
        capabilities=_abilities(told, _PRICE_MAP_ABILITIES, abilities_by(taken, given)),
        deprecated_at=read_moment(told.get("deprecation_date")),
    )
    prices = _prices(told, _PRICE_MAP_PRICES, Unit.PER_TOKEN)
    # Of a model that makes no images, the price of one is what an image that goes in costs, and is billed as tokens.
    pieces = _PIECES if is_image else {"request": _PIECES["request"]}
    amounts = {price: per_piece(amount) for price, field in pieces.items() if (amount := _amount(told, field))}
    known = {price: amount for price, amount in amounts.items() if amount is not None}
    return Entry(provider, key.removeprefix(f"{provider}/"), facts, {**prices, **known})


def _prices(told: Any, names: Mapping[str, str], unit: Unit) -> dict[str, Decimal]:
    prices = {price: per_million(_amount(told, field), unit) for price, field in names.items()}
    return {price: amount for price, amount in prices.items() if amount is not None}


def _amount(told: Any, field: str) -> Decimal | None:
    amount = read_amount(told.get(field)) if isinstance(told, dict) else None
    return amount if amount is not None and amount >= 0 else None


def _abilities(told: Mapping[str, Any], meaning: Mapping[str, str], able: set[str]) -> tuple[str, ...] | None:
    """Answer what it can do; nothing where the entry says of nothing whether it can."""
    if not able and not any(isinstance(told.get(field), bool) for field in meaning):
        return None
    return tuple(sorted(able | {word for field, word in meaning.items() if told.get(field) is True}))


def _day(given: object) -> date | None:
    """Read a day, or a month as its first day."""
    found = _DAY.fullmatch(given.strip()) if isinstance(given, str) else None
    if found is None:
        return None
    try:
        return date.fromisoformat(f"{found[1]}{found[2] or '-01'}")
    except ValueError:
        return None


def _is_usable(name: object) -> bool:
    return why_unusable(name) is None
