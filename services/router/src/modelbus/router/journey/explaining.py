"""Explaining a choice: who would serve, in turn, and why each of the others is left out."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from modelbus.router.balance.choosing import Choice, next_credential
from modelbus.router.balance.drawing import Draw
from modelbus.router.balance.offers import Offer
from modelbus.router.balance.sifting import LeftOut
from modelbus.router.balance.standings import Standings
from modelbus.router.complexity.rulings import Ruling

_LONGEST_HEADER = 4096
_MOST_TOLD = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """A source that may serve."""

    model: str
    source_id: UUID
    supplier: str
    upstream_name: str
    protocol: str
    """How requests to it are spoken."""
    place: str
    """Where in the chain or routing it stands; empty where the model was named itself."""
    triggers: tuple[str, ...]
    """After which failures of the steps before it is tried."""
    resting: str | None
    """Why it is asked after all others: `breaker_open`, `no_usable_credential` or `credential_limit` (no room)."""
    credential_id: UUID | None
    """The one to be tried first; administrators see it."""


@dataclass(frozen=True, slots=True)
class Left:
    """A step, or one source of it, that would not serve."""

    reason: str
    model: str | None
    source_id: UUID | None
    place: str


@dataclass(frozen=True, slots=True)
class Ruled:
    """At which level a request is served, and what decided."""

    level: str
    by: str
    """`prompt`, `conversation` or `judge`; a judge is never asked by an explanation alone."""
    score: float
    """Of the prompt by itself, from 0 to 1."""
    shares: dict[str, float]
    """What each feature of the prompt adds to the score, or takes from it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller would be told."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who would serve a request, and who not."""

    kind: str
    """What the name means: `model`, `alias`, `id`, `chain`, `split`, `complexity`, `strategy`, `scope` or `default`."""
    name: str
    ruling: Ruled | None
    """How complex the request is, where that decides."""
    draw: Draw | None
    """Of a split: the arm that is drawn among those that could serve; the others come after it, the heavier first."""
    strategy: str
    """By which the candidates are in this order: the router's own, or the name of a cost strategy."""
    candidates: list[Candidate]
    """In the order in which they would be asked."""
    left_out: list[Left]
    skipped: list[Left]
    """Stale places: what they name is not available. They are told in the usage, too."""
    refusal: Told | None
    """Where nobody would serve."""
    revision: int
    """Of the catalog."""


def explain(
    choice: Choice, revision: int, ruling: Ruling | None, standings: Standings | None = None, now: float = 0.0
) -> Explanation:
    """Put the choice into words; the credentials are told only with the standings."""
    return Explanation(
        kind=choice.meaning.kind,
        name=choice.meaning.name,
        ruling=None if ruling is None else Ruled(ruling.level, ruling.by, ruling.verdict.score, ruling.verdict.shares),
        draw=choice.draw,
        strategy=choice.strategy,
        candidates=[_candidate(offer, choice, standings, now) for offer in choice.offers],
        left_out=[_left(each) for each in choice.left_out],
        skipped=[_left(each) for each in choice.stale],
        refusal=None if choice.refusal is None else Told(choice.refusal.code, str(choice.refusal)),
        revision=revision,
    )


def header_of(choice: Choice, revision: int, ruling: Ruling | None) -> bytes:
    """Write the explanation as a header's value; one that is too long tells less of each, and counts the rest."""
    told = explain(choice, revision, ruling)
    written = _ascii(told)
    if len(written) <= _LONGEST_HEADER:
        return written
    short = {
        "kind": told.kind,
        "name": told.name,
        "level": told.ruling.level if told.ruling else None,
        "variant": told.draw.variant if told.draw else None,
        "strategy": told.strategy,
        "candidates": [{"model": each.model, "source_id": each.source_id} for each in told.candidates[:_MOST_TOLD]],
        "counts": {"candidates": len(told.candidates), "left_out": len(told.left_out), "skipped": len(told.skipped)},
    }
    return _ascii(short)


def _candidate(offer: Offer, choice: Choice, standings: Standings | None, now: float) -> Candidate:
    first = next_credential(offer, (), standings, now) if standings else None
    return Candidate(
        model=offer.model.name,
        source_id=offer.id,
        supplier=offer.supplier.name,
        upstream_name=offer.source.upstream_name,
        protocol=offer.protocol,
        place=offer.step.place,
        triggers=offer.triggers if offer.step.id else (),
        resting=choice.resting.get(offer.id),
        credential_id=first.id if first else None,
    )


def _left(left_out: LeftOut) -> Left:
    return Left(
        reason=left_out.reason,
        model=left_out.model.name if left_out.model else None,
        source_id=left_out.source.id if left_out.source else left_out.step.source_id,
        place=left_out.step.place,
    )


def _ascii(told: Any) -> bytes:
    text = msgspec.json.encode(told).decode()
    # JSON escapes control characters; what is left beyond ASCII is escaped here, as headers are bytes of ASCII.
    return "".join(each if each.isascii() else _escaped(each) for each in text).encode()


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
