"""What the rules ask of a target, cut out of its record as it was told."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from modelbus.integrity.domain.known import Known
from modelbus.integrity.domain.targets import DELETED, UNKNOWN, Rates


class _Facts(msgspec.Struct, frozen=True):
    is_available: bool
    reason: str | None

    @property
    def problem(self) -> str | None:
        """Answer why it is not available."""
        return None if self.is_available else self.reason or UNKNOWN


class Capability(msgspec.Struct, frozen=True):
    """A capability that a model has."""

    capability_id: UUID


class ModelFacts(_Facts, frozen=True):
    """What is asked of a model."""

    name: str
    model_type: str | None = None
    context_window: int | None = None
    retires_at: datetime | None = None
    replacement_model_id: UUID | None = None
    capabilities: tuple[Capability, ...] = ()


class Costs(msgspec.Struct, frozen=True):
    """What is asked of prices."""

    input: Decimal | None = None
    output: Decimal | None = None

    def rates(self) -> Rates:
        """Answer them as rules take them."""
        return Rates(self.input, self.output)


class SourceFacts(_Facts, frozen=True):
    """What is asked of a source."""

    model_id: UUID
    supplier_id: UUID
    cost: Costs
    features: dict[str, bool] | None = None
    retires_at: datetime | None = None
    health: str = "unknown"


class PriceFacts(msgspec.Struct, frozen=True):
    """What is asked of a price."""

    charge: Costs


_MODEL = msgspec.json.Decoder(ModelFacts)
_SOURCE = msgspec.json.Decoder(SourceFacts)
_PRICE = msgspec.json.Decoder(PriceFacts)
_OF_KIND: dict[str, msgspec.json.Decoder[Any]] = {"model": _MODEL, "source": _SOURCE, "price": _PRICE}


def read_model(record: str) -> ModelFacts:
    """Read a model's record."""
    return _MODEL.decode(record)


def read_source(record: str) -> SourceFacts:
    """Read a source's record."""
    return _SOURCE.decode(record)


def read_price(record: str) -> PriceFacts:
    """Read a price's record."""
    return _PRICE.decode(record)


def problem_of(facts: _Facts | None) -> str | None:
    """Answer why a target is not available, which may be that there is none."""
    return DELETED if facts is None else facts.problem


def are_same_target(before: Known | None, after: Known) -> bool:
    """Tell whether no rule can see a difference between two states of a model, a source or a price."""
    if before is None:
        return False
    if before.record is None or after.record is None:
        return before.record == after.record
    decoder = _OF_KIND[after.kind]
    return bool(_judged(decoder.decode(before.record)) == _judged(decoder.decode(after.record)))


def _judged(facts: Any) -> Any:
    """Leave out what no rule asks for: health changes by the minute, and nobody need be judged for it."""
    return msgspec.structs.replace(facts, health="") if isinstance(facts, SourceFacts) else facts
