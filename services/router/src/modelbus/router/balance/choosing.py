"""Choosing who serves a request: a pure function of the catalog, of what was seen of sources, and of chance."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from modelbus.router.balance.drawing import Draw, in_drawn_order
from modelbus.router.balance.menu import Menu
from modelbus.router.balance.needs import Needs
from modelbus.router.balance.offers import Offer
from modelbus.router.balance.scoring import by_score
from modelbus.router.balance.sifting import LeftOut, Sieve, Wish
from modelbus.router.balance.standings import Standings
from modelbus.router.balance.strategies import STRATEGIES, View
from modelbus.router.cache.records import AccessKey, Credential
from modelbus.router.cache.routing import ANY_FAILURE, Scope, Strategy
from modelbus.router.domain.errors import Refusal
from modelbus.router.naming.meanings import Meaning
from modelbus.router.naming.resolving import strategy_of

_SEVERAL = 2

type Rests = Callable[[Offer, float], str | None]
"""Says why an offer should be asked after all others; None if it need not."""


class Wanted(NamedTuple):
    """What a request asks for, found in one state of the catalog."""

    menu: Menu
    meaning: Meaning
    scope: Scope | None

    @property
    def strategy(self) -> Strategy | None:
        """The catalog's strategy that is in force for it."""
        return self.meaning.strategy or strategy_of(self.menu.table, self.scope)


@dataclass(slots=True)
class Choice:
    """Who may serve, in turn, and who may not."""

    meaning: Meaning
    strategy: str
    """By which the offers are in this order: the router's, or the name of a cost strategy."""
    offers: list[Offer]
    left_out: list[LeftOut]
    stale: list[LeftOut]
    """Steps that were skipped because nothing of them is available."""
    draw: Draw | None = None
    """Of a split: the arm that was drawn."""
    resting: dict[UUID, str] = field(default_factory=dict)
    """Sources that are asked last, and why."""
    refusal: Refusal | None = None
    """What the caller is told where there is no offer."""


def choose(wanted: Wanted, wish: Wish, caller: AccessKey, usual: str, view: View, rests: Rests) -> Choice:
    """Choose; `usual` is the router's own strategy, for what has none in the catalog."""
    meaning, strategy = wanted.meaning, wanted.strategy
    needs = Needs(wish.endpoint, wish.fields, is_stream=wish.is_stream)
    sieve = Sieve(wanted.menu, meaning, needs, wish.endpoint, caller, wanted.scope, strategy, view.loads)
    order = by_score(strategy) if strategy else STRATEGIES[usual]
    fit = [sieve.sift(step) for step in meaning.steps]
    draw = None
    if meaning.split is not None:
        fit, draw = in_drawn_order(meaning.split, fit, wish, view.chance)
    if meaning.is_pool:
        fit = [[offer for offers in fit for offer in offers]]
    in_order: dict[UUID, Offer] = {}
    for offers in fit:
        for offer in order(offers, view):
            in_order.setdefault(offer.id, offer)
    offers, resting = _rested_last(list(in_order.values()), rests, view.now)
    return Choice(
        meaning,
        strategy.name if strategy else usual,
        offers,
        sieve.left_out,
        sieve.stale if meaning.holder_kind else [],
        draw,
        resting,
        None if offers else sieve.refusal(),
    )


def next_credential(offer: Offer, tried: Container[UUID], standings: Standings, now: float) -> Credential | None:
    """Choose the credential to try next: by priority, then whose turn it is by weight; weight 0 comes last."""
    free = [one for one in offer.credentials if one.id not in tried and not standings.is_out(one, now)]
    if len(free) < _SEVERAL:
        return free[0] if free else None
    return min(free, key=lambda one: (one.priority, not one.weight, standings.turn(one)))


def _rested_last(offers: Sequence[Offer], rests: Rests, now: float) -> tuple[list[Offer], dict[UUID, str]]:
    """Look at the clock for credentials, and put last what rests; steps with triggers of their own stay behind it."""
    usable = [offer.as_of(datetime.now(UTC)) if offer.has_cooling else offer for offer in offers]
    resting = {offer.id: reason for offer in usable if (reason := rests(offer, now))}
    if resting:
        usable.sort(key=lambda offer: 2 if ANY_FAILURE not in offer.triggers else offer.id in resting)
    return usable, resting
