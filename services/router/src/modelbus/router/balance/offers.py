"""An offer is a source that may serve, with all that is needed to judge and to call it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

from msgspec import Raw

from modelbus.router.balance.needs import DEMANDED
from modelbus.router.balance.terms import Terms
from modelbus.router.cache.records import Credential, Model, Prices, Source, Supplier
from modelbus.router.naming.meanings import Step
from modelbus.router.wire.endpoints import Fields

_INPUT_SHARE = 3
NO_DEFAULTS: Mapping[str, Raw] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Offer:
    """One source of one model, at one step."""

    step: Step
    model: Model
    source: Source
    supplier: Supplier
    credentials: tuple[Credential, ...]
    """Those that the catalog calls usable, by priority."""
    protocol: str
    """How requests to it are spoken: the step's word, or the source's, or the supplier's."""
    terms: Terms | None = None
    abilities: frozenset[str] | None = None
    """What it can do; None where nobody knows."""
    denied: frozenset[str] = frozenset()
    """What it can't do, or may not do here, by its features."""
    price: float | None = None
    """USD per million tokens, three of input to one of output; None where nobody knows."""
    has_cooling: bool = False
    """The clock decides about some of the credentials."""

    @property
    def id(self) -> UUID:
        """The source's id."""
        return self.source.id

    @property
    def triggers(self) -> tuple[str, ...]:
        """After which failures of the steps before its own it is tried."""
        return self.step.triggers

    def as_of(self, now: datetime) -> "Offer":
        """Answer it with the credentials that are usable by the clock."""
        usable = tuple(one for one in self.credentials if one.is_usable(self.model.id, now))
        return replace(self, credentials=usable, has_cooling=False)

    def lacks(self, needed: frozenset[str]) -> frozenset[str]:
        """Answer what of it can't be had here."""
        if not needed or (self.abilities is None and not self.denied):
            return frozenset()
        missing = needed & self.denied
        return missing if self.abilities is None else missing | ((needed & DEMANDED) - self.abilities)

    def defaults_for(self, fields: Fields) -> Mapping[str, Raw]:
        """Answer what the model's parameters add to a request."""
        return NO_DEFAULTS if self.terms is None else self.terms.defaults_for(fields)


def blended(prices: Prices) -> float | None:
    """Answer USD per million tokens, as the catalog blends them; what takes no output has its input's price."""
    if prices.input is None or prices.is_dynamic:
        return None
    if prices.output is None:
        return float(prices.input)
    return float((_INPUT_SHARE * prices.input + prices.output) / Decimal(_INPUT_SHARE + 1))
