"""Drawing the arm of a split: the same for the same key, and a change of weights moves no more keys than it must."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import inf, log
from random import Random
from typing import Protocol

import msgspec
from msgspec import Raw

from modelbus.router.balance.offers import Offer
from modelbus.router.cache.routing import Arm, Split

BY_USER, BY_HEADER, BY_CHANCE = "user", "header:", "chance"
_USERS = ("user", "safety_identifier")
_LOTS = 2.0**64
_read_text = msgspec.json.Decoder(str).decode
_read_object = msgspec.json.Decoder(dict[str, Raw]).decode


class Request(Protocol):
    """What is read of a request in order to draw for it."""

    @property
    def headers(self) -> Mapping[bytes, bytes]: ...  # noqa: D102 - a field
    @property
    def fields(self) -> Mapping[str, Raw]: ...  # noqa: D102 - a field


@dataclass(frozen=True, slots=True)
class Draw:
    """Which arm was drawn."""

    variant: str
    by: str
    """`user` or `header:<name>`, which draw the same again, or `chance`."""


def in_drawn_order(
    split: Split, fit: Sequence[list[Offer]], request: Request, chance: Random
) -> tuple[list[list[Offer]], Draw | None]:
    """Draw among the arms that have an offer: that one comes first, and then the others, the heavier before.

    So the share of an arm that can't serve goes to the others by their weights. `fit` are the offers of each arm.
    """
    able = [at for at, offers in enumerate(fit) if offers]
    if not able:
        return [], None
    key = key_of(split.sticky_by, request)
    by = BY_CHANCE if key is None else split.sticky_by
    if key is None:
        key = chance.randbytes(8)
    drawn = max(able, key=lambda at: lot_of(split, split.arms[at], key))
    others = sorted((at for at in able if at != drawn), key=lambda at: -split.arms[at].weight)
    return [fit[at] for at in (drawn, *others)], Draw(split.arms[drawn].name, by)


def lot_of(split: Split, arm: Arm, key: bytes) -> float:
    """Answer the arm's lot in the draw for a key: the highest wins.

    Weighted rendezvous hashing (Schindelhauer and Schomaker 2005, the logarithmic method): an arm's lot depends on
    nothing but its own weight, so keys move only to an arm that became heavier, or from one that became lighter.
    """
    if not arm.weight:
        return -inf
    digest = blake2b(b"\0".join((split.id.bytes, arm.name.encode(), key)), digest_size=8).digest()
    return log((int.from_bytes(digest) + 0.5) / _LOTS) / arm.weight


def key_of(sticky_by: str, request: Request) -> bytes | None:
    """Answer what draws the same arm again for this request; None where it does not say."""
    if sticky_by.startswith(BY_HEADER):
        return request.headers.get(sticky_by.removeprefix(BY_HEADER).encode()) or None
    if sticky_by != BY_USER:
        return None
    for name in _USERS:
        if user := _text(request.fields.get(name)):
            return user
    return _text(_within(request.fields.get("metadata"), "user_id"))


def _within(raw: Raw | None, name: str) -> Raw | None:
    try:
        return None if raw is None else _read_object(raw).get(name)
    except msgspec.DecodeError:
        return None


def _text(raw: Raw | None) -> bytes | None:
    try:
        return None if raw is None else _read_text(raw).encode()
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
