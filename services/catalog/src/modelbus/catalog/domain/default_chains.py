"""Default chains: what serves best for each purpose, built from what is available and from nothing else.

For each type of model, and for each capability within it, there are two chains: the cheapest first, and the strongest
first. Every further step goes to another supplier than the steps before it, as long as there is one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.models import Lifecycle, ModelType
from modelbus.catalog.domain.offers import Offer, Strength, by_model, cheapest_price, strength_of

PREFIX = "default"
STEPS = 3
_UNMIXABLE = {ModelType.EMBEDDING}
"""Vectors of different models can't be compared: a fallback would spoil what was stored."""


@dataclass(frozen=True, slots=True)
class DefaultChain:
    """A chain as it should be now."""

    name: str
    description: str
    model_ids: tuple[UUID, ...]
    """Of its steps, in order; any source of them may serve."""


@dataclass(frozen=True, slots=True)
class _Contender:
    """A model that can serve, and what speaks for it."""

    id: UUID
    name: str
    model_type: str
    capabilities: frozenset[str]
    suppliers: frozenset[UUID]
    price: Decimal | None
    strength: Strength


type _Order = Callable[[_Contender], Any]


def _cheapest(model: _Contender) -> Any:
    # What nobody knows the price of comes last; of equals, the stronger.
    is_featured, price, window = model.strength
    return model.price is None, model.price or 0, not is_featured, -price, -window, model.name


def _strongest(model: _Contender) -> Any:
    is_featured, price, window = model.strength
    return not is_featured, -price, -window, model.name


_ORDERS: dict[str, _Order] = {"cheapest": _cheapest, "strongest": _strongest}


def build(offers: Sequence[Offer]) -> list[DefaultChain]:
    """Build the chains from the offers that are available; the same offers, in whatever order, give the same chains.

    Models that are deprecated or retired are left out: what is new should not begin with them.
    """
    contenders = _contenders(offers)
    chains: list[DefaultChain] = []
    for purpose, able in _purposes(contenders).items():
        most = 1 if able[0].model_type in _UNMIXABLE else STEPS
        for label, order in _ORDERS.items():
            steps = _steps(able, order, most)
            description = f"Built from what is available: the {label} for {' with '.join(purpose)} first."
            chains.append(DefaultChain("/".join((PREFIX, *purpose, label)), description, steps))
    return sorted(chains, key=lambda chain: chain.name)


def _contenders(offers: Sequence[Offer]) -> list[_Contender]:
    usable = [offer for offer in offers if offer.is_available and offer.lifecycle == Lifecycle.ACTIVE]
    return [_contender(model_id, of_model) for model_id, of_model in by_model(usable).items()]


def _contender(model_id: UUID, offers: list[Offer]) -> _Contender:
    return _Contender(
        id=model_id,
        name=offers[0].model_name,
        model_type=offers[0].model_type,
        capabilities=frozenset(offers[0].capabilities),
        suppliers=frozenset(offer.supplier_id for offer in offers),
        price=cheapest_price(offers),
        strength=strength_of(offers),
    )


def _purposes(contenders: Iterable[_Contender]) -> dict[tuple[str, ...], list[_Contender]]:
    """Put together what serves each type, and each capability within a type; a model serves several."""
    purposes: dict[tuple[str, ...], list[_Contender]] = {}
    for model in contenders:
        for purpose in ((model.model_type,), *((model.model_type, each) for each in model.capabilities)):
            purposes.setdefault(purpose, []).append(model)
    return purposes


def _steps(able: Sequence[_Contender], order: _Order, most: int) -> tuple[UUID, ...]:
    left = sorted(able, key=order)
    taken: list[_Contender] = []
    while left and len(taken) < most:
        used = {supplier for model in taken for supplier in model.suppliers}
        following = next((model for model in left if model.suppliers - used), left[0])
        left.remove(following)
        taken.append(following)
    return tuple(model.id for model in taken)
