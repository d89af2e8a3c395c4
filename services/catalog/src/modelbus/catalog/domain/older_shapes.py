"""Older shapes: what other systems' tables of models, chains and complexity settings say, entry by entry."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from modelbus.catalog.domain.complexity import Level
from modelbus.catalog.domain.errors import EntryMalformedError
from modelbus.catalog.domain.matching import Named
from modelbus.catalog.domain.models import ModelType, Tier

PRICE_UNITS = {"per_million": Decimal(1), "per_thousand": Decimal(1000), "per_token": Decimal(1_000_000)}
PRICE_FIELDS = {"input_price": "input", "output_price": "output", "cached_input_price": "cached_input"}
PROTOCOLS = {
    "openai": "openai",
    "openai-compatible": "openai",
    "anthropic": "anthropic",
    "anthropic-native": "anthropic",
}
MODEL_TYPES = {"chat": ModelType.LANGUAGE, "text": ModelType.LANGUAGE, "llm": ModelType.LANGUAGE}
MODEL_TYPES |= {str(each): each for each in ModelType} | {"vision": ModelType.MULTIMODAL}
LEVELS = {str(level): level for level in Level} | {
    "super_easy": Level.TRIVIAL,
    "simple": Level.EASY,
    "moderate": Level.MEDIUM,
    "complex": Level.HARD,
    "super_hard": Level.EXPERT,
}
TRUE, FALSE = {"true", "1", "yes", "t"}, {"false", "0", "no", "f"}
LONGEST_NAME = 200
MOST_STEPS = 50


class Shape(StrEnum):
    """Which older table an entry comes from; also the keys of a file that holds several."""

    MODEL_CONFIGS = "model_configs"
    AGGREGATOR_MODELS = "aggregator_models"
    FALLBACK_CHAINS = "fallback_chains"
    COMPLEXITY_ROUTING = "complexity_routing"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model with what was known of it; None is not said."""

    named: Named
    fields: dict[str, Any]
    """Fields of a model, as they are set."""
    capabilities: tuple[str, ...] = ()
    charge: dict[str, Decimal] = field(default_factory=dict)
    """USD per million tokens, by unit."""


@dataclass(frozen=True, slots=True)
class StepEntry:
    """A step of a chain by names."""

    named: Named
    protocol: str | None
    features: dict[str, bool] | None


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """A chain by names."""

    name: str
    fields: dict[str, Any]
    steps: tuple[StepEntry, ...]


@dataclass(frozen=True, slots=True)
class RoutingEntry:
    """A complexity routing by names."""

    name: str
    fields: dict[str, Any]
    levels: dict[Level, tuple[Named, ...]]


type Entry = ModelEntry | ChainEntry | RoutingEntry


def read_entry(shape: Shape, raw: object) -> Entry:
    """Read one entry; fields that the shape does not have are left alone, as such tables have many.

    Raises:
        EntryMalformedError: a field is missing, or holds what can't be meant.
    """
    if not isinstance(raw, Mapping):
        raise EntryMalformedError("entry", "must be an object")
    return _READ[shape](raw)


def _model_config(raw: Mapping[str, Any]) -> ModelEntry:
    return _model(raw, vendor=_text(raw, "provider", "provider_name", "vendor"), charge=_charge(raw))


def _aggregator_model(raw: Mapping[str, Any]) -> ModelEntry:
    return _model(raw, vendor=_text(raw, "provider", "provider_name", "provider_id"), charge={})


def _model(raw: Mapping[str, Any], *, vendor: str | None, charge: dict[str, Decimal]) -> ModelEntry:
    if vendor is None:
        raise EntryMalformedError("provider", "must name the supplier")
    told = {
        "display_name": _text(raw, "display_name"),
        "description": _text(raw, "description"),
        "tier": _choice(raw, {str(tier): tier for tier in Tier}, "tier", "tier_required"),
        "model_type": _choice(raw, MODEL_TYPES, "model_type", "type"),
        "context_window": _count(raw, "context_window"),
        "max_output_tokens": _count(raw, "max_output_tokens"),
        "is_active": _flag(raw, "is_active"),
    }
    fields = {name: value for name, value in told.items() if value is not None}
    return ModelEntry(Named(_needed(raw, "model", "model_id"), vendor), fields, _capabilities(raw), charge)


def _chain(raw: Mapping[str, Any]) -> ChainEntry:
    steps = raw.get("models")
    if not isinstance(steps, list) or not 0 < len(steps) <= MOST_STEPS:
        raise EntryMalformedError("models", f"must be an array of 1 to {MOST_STEPS} objects with vendor and model")
    read = tuple(_step(step, f"models.{place}") for place, step in enumerate(steps))
    return ChainEntry(_needed(raw, "name", "chain_id", "chainId"), _common(raw), read)


def _step(raw: object, place: str) -> StepEntry:
    if not isinstance(raw, Mapping):
        raise EntryMalformedError(place, "must be an object with vendor and model")
    try:
        protocol = _choice(raw, PROTOCOLS, "protocol")
        return StepEntry(Named(_needed(raw, "model"), _text(raw, "vendor", "provider")), protocol, _features(raw))
    except EntryMalformedError as error:
        raise EntryMalformedError(f"{place}.{error.field}", error.message) from error


def _routing(raw: Mapping[str, Any]) -> RoutingEntry:
    levels = raw.get("models", raw.get("levels"))
    if not isinstance(levels, Mapping) or not levels:
        raise EntryMalformedError("models", f"must be an object with levels as keys: {', '.join(LEVELS)}")
    read: dict[Level, tuple[Named, ...]] = {}
    for key, served in levels.items():
        level = LEVELS.get(str(key).strip().lower())
        if level is None or level in read:
            raise EntryMalformedError(f"models.{key}", f"must be each at most once of {', '.join(LEVELS)}")
        listed = served if isinstance(served, list) else [served]
        read[level] = tuple(dict.fromkeys(_named(each, f"models.{key}.{at}") for at, each in enumerate(listed)))
    return RoutingEntry(_text(raw, "name") or "imported", _common(raw), read)


def _named(raw: object, place: str) -> Named:
    if isinstance(raw, str) and raw.strip():
        return Named(raw.strip())
    if isinstance(raw, Mapping) and isinstance(raw.get("model"), str) and raw["model"].strip():
        return Named(raw["model"].strip(), _text(raw, "vendor", "provider"))
    raise EntryMalformedError(place, "must be a model's name, or an object with vendor and model")


def _common(raw: Mapping[str, Any]) -> dict[str, Any]:
    told = {"description": _text(raw, "description"), "is_active": _flag(raw, "is_active", "isActive")}
    return {name: value for name, value in told.items() if value is not None}


def _charge(raw: Mapping[str, Any]) -> dict[str, Decimal]:
    unit = _choice(raw, PRICE_UNITS, "price_unit") or PRICE_UNITS["per_million"]
    return {name: price * unit for given, name in PRICE_FIELDS.items() if (price := _price(raw, given)) is not None}


def _price(raw: Mapping[str, Any], name: str) -> Decimal | None:
    value = raw.get(name)
    if _is_empty(value):
        return None
    try:
        price = Decimal(str(value))
    except InvalidOperation:
        raise EntryMalformedError(name, "must be a decimal number of USD") from None
    if isinstance(value, bool) or not price.is_finite() or price < 0:
        raise EntryMalformedError(name, "must be a decimal number of USD, 0 or more")
    return price


def _capabilities(raw: Mapping[str, Any]) -> tuple[str, ...]:
    told = raw.get("capabilities")
    if isinstance(told, Mapping):
        told = [name for name, has in told.items() if has]
    if isinstance(told, str):
        told = [name.strip() for name in told.split(",") if name.strip()]
    return tuple(dict.fromkeys(_snake(str(name)) for name in told or ()))


def _features(raw: Mapping[str, Any]) -> dict[str, bool] | None:
    told = raw.get("features")
    if not isinstance(told, Mapping):
        return None
    return {_snake(str(name)): value for name, value in told.items() if isinstance(value, bool)} or None


def _is_empty(value: object) -> bool:
    """Tell whether nothing is said; an empty cell of a CSV file is an empty text."""
    return value is None or value == ""


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip()).replace("-", "_").lower()


def _text(raw: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = raw.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        if not isinstance(value, str) or len(value) > LONGEST_NAME * (50 if name == "description" else 1):
            raise EntryMalformedError(name, f"must be text of at most {LONGEST_NAME} characters")
        if any(character < " " for character in value):
            raise EntryMalformedError(name, "must not hold control characters")
        return value.strip()
    return None


def _needed(raw: Mapping[str, Any], *names: str) -> str:
    value = _text(raw, *names)
    if value is None:
        raise EntryMalformedError(names[0], "must be given")
    return value


def _choice[T](raw: Mapping[str, Any], known: Mapping[str, T], *names: str) -> T | None:
    value = _text(raw, *names)
    if value is None:
        return None
    if value.lower() not in known:
        raise EntryMalformedError(names[0], f"must be one of {', '.join(known)}")
    return known[value.lower()]


def _count(raw: Mapping[str, Any], name: str) -> int | None:
    value: Any = raw.get(name)
    if _is_empty(value):
        return None
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)) or int(value) == 0:
        raise EntryMalformedError(name, "must be a whole number of tokens, 1 or more")
    return int(value)


def _flag(raw: Mapping[str, Any], *names: str) -> bool | None:
    value = next((raw[name] for name in names if not _is_empty(raw.get(name))), None)
    if value is None or isinstance(value, bool):
        return value
    if str(value).strip().lower() not in TRUE | FALSE:
        raise EntryMalformedError(names[0], "must be true or false")
    return str(value).strip().lower() in TRUE


_READ: dict[Shape, Callable[[Mapping[str, Any]], Entry]] = {
    Shape.MODEL_CONFIGS: _model_config,
    Shape.AGGREGATOR_MODELS: _aggregator_model,
    Shape.FALLBACK_CHAINS: _chain,
    Shape.COMPLEXITY_ROUTING: _routing,
}
