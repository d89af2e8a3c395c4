"""Rules give tags to models: a closed set of kinds, each a pure function of a few facts about one model."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules look at."""

    name: str
    model_type: str
    context_window: int | None
    first_seen_at: datetime
    capability_ids: frozenset[UUID]
    input_price: Decimal | None = None
    """What consumers are charged now, USD per million tokens; None where it is not known."""
    usage_places: Mapping[int, int] = field(default_factory=dict)
    """Days looked back upon, to the model's place among all models by requests served in them, 1 for the most."""


@dataclass(frozen=True, slots=True)
class FirstSeenWithin:
    """Models that the catalog has not known for longer."""

    KIND: ClassVar[str] = "first_seen_within"

    days: int

    def gives(self, facts: Facts, now: datetime) -> bool:
        """Tell whether the model gets the tag."""
        return now - facts.first_seen_at < timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class TopByUsage:
    """Models that have served the most requests lately."""

    KIND: ClassVar[str] = "top_by_usage"

    count: int
    days: int

    def gives(self, facts: Facts, now: datetime) -> bool:  # noqa: ARG002 - rules are all asked alike
        """Tell whether the model gets the tag."""
        return facts.usage_places.get(self.days, self.count + 1) <= self.count


@dataclass(frozen=True, slots=True)
class HasCapability:
    """Models that have a capability."""

    KIND: ClassVar[str] = "has_capability"

    capability_id: UUID

    def gives(self, facts: Facts, now: datetime) -> bool:  # noqa: ARG002 - the same
        """Tell whether the model gets the tag."""
        return self.capability_id in facts.capability_ids


@dataclass(frozen=True, slots=True)
class InputPriceBelow:
    """Models whose input costs consumers less; a price that is not known is not low."""

    KIND: ClassVar[str] = "input_price_below"

    usd_per_million: Decimal

    def gives(self, facts: Facts, now: datetime) -> bool:  # noqa: ARG002 - the same
        """Tell whether the model gets the tag."""
        return facts.input_price is not None and facts.input_price < self.usd_per_million


@dataclass(frozen=True, slots=True)
class NameMatches:
    """Models whose name is of a shape, `*` and `?` standing for anything."""

    KIND: ClassVar[str] = "name_matches"

    pattern: str

    def gives(self, facts: Facts, now: datetime) -> bool:  # noqa: ARG002 - the same
        """Tell whether the model gets the tag."""
        return fnmatchcase(facts.name.lower(), self.pattern.lower())


@dataclass(frozen=True, slots=True)
class ContextAtLeast:
    """Models that take at least that many tokens."""

    KIND: ClassVar[str] = "context_at_least"

    tokens: int

    def gives(self, facts: Facts, now: datetime) -> bool:  # noqa: ARG002 - the same
        """Tell whether the model gets the tag."""
        return facts.context_window is not None and facts.context_window >= self.tokens


@dataclass(frozen=True, slots=True)
class IsOfType:
    """Models of a type."""

    KIND: ClassVar[str] = "model_type"

    model_type: str

    def gives(self, facts: Facts, now: datetime) -> bool:  # noqa: ARG002 - the same
        """Tell whether the model gets the tag."""
        return facts.model_type == self.model_type


type Rule = FirstSeenWithin | TopByUsage | HasCapability | InputPriceBelow | NameMatches | ContextAtLeast | IsOfType

KINDS: dict[str, type[Any]] = {
    kind.KIND: kind
    for kind in (FirstSeenWithin, TopByUsage, HasCapability, InputPriceBelow, NameMatches, ContextAtLeast, IsOfType)
}
OF_THE_WORLD = (TopByUsage, InputPriceBelow)
"""Rules that need to know more than the model itself: they are asked by the clock, not at each of its changes."""

_READ: dict[str, Any] = {"capability_id": UUID, "usd_per_million": Decimal}


def written(rule: Rule) -> dict[str, Any]:
    """Write a rule as JSON."""
    values = {each.name: getattr(rule, each.name) for each in fields(rule)}
    return {"kind": rule.KIND, **{key: str(value) if key in _READ else value for key, value in values.items()}}


def read(document: Mapping[str, Any]) -> Rule:
    """Read a rule from JSON that `written` wrote."""
    values = {key: value for key, value in document.items() if key != "kind"}
    found: Rule = KINDS[document["kind"]](**{key: _READ.get(key, _same)(value) for key, value in values.items()})
    return found


def _same(value: Any) -> Any:
    return value
