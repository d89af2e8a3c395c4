"""The index is a copy of the catalog's records of some kinds; these rules say when it must be loaded anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Telling:
    """When something was told: its place in the catalog's order, and the catalog's clock."""

    revision: int
    at: datetime


type Key = tuple[str, UUID]
"""Kind and id of a record: a price bears the id of its model."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells whether a known thing is older than, or other than, what a snapshot says of it."""

    revision: int
    digest: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a copy of the catalog stands; `epoch` is None while nothing was ever loaded."""

    epoch: UUID | None
    revision: int
    """Of our copy: the newest that was heard. Events of other kinds take revisions too, so it may lag rightly."""
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class IndexHead:
    """Where the index stands, without its contents."""

    epoch: UUID | None
    """None while nothing was ever loaded."""
    revision: int
    """The newest that was heard."""
    loaded_revision: int
    """Of the newest snapshot in the index: whatever was told until then is in it."""

    @property
    def is_loaded(self) -> bool:
        """Tell whether the index holds all that it should, so that what it does not hold is not there."""
        return self.epoch is not None


class Verdict(StrEnum):
    """What to do about the difference between the index and the catalog."""

    RIGHT = "right"
    WAIT = "wait"
    MEND = "mend"
    """Take what the snapshot says, except where something newer was heard."""
    REPLACE = "replace"
    """Take what the snapshot says: our revisions mean nothing any more."""


def weigh(ours: Standing, theirs: Standing, differed_at: int | None) -> Verdict:
    """Compare the index, read first, with the catalog's head, asked afterwards.

    `differed_at` is our revision at the last look if that found a difference; a difference that outlives a look
    while nothing is heard is one that nobody will tell us of.
    """
    if theirs.revision < ours.revision:
        return Verdict.REPLACE
    if theirs.epoch != ours.epoch:
        return Verdict.MEND
    if all(theirs.digests.get(kind) == digest for kind, digest in ours.digests.items()):
        return Verdict.RIGHT
    return Verdict.MEND if differed_at == ours.revision else Verdict.WAIT
