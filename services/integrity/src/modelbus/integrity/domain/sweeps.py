"""A sweep compares all that is known with the catalog's own word, record by record and place by place."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from modelbus.integrity.domain.index import Key, Mark
from modelbus.integrity.domain.known import Known
from modelbus.integrity.domain.references import Reference


class Drift(StrEnum):
    """How what we know differs from what the catalog says."""

    MISSING = "missing"
    """The catalog has it, and we do not."""
    DIFFERING = "differing"
    """We know an older state, or another one."""
    SURPLUS = "surplus"
    """We have it, and the catalog does not any more."""
    MISREAD = "misread"
    """We know the record, and not what it refers to."""


type Drifted = dict[Key, Drift]
type Stored = Mapping[Key, tuple[Reference, ...]]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What came of a sweep."""

    id: UUID
    asked_by: str | None
    """None for the one of each night."""
    started_at: datetime
    finished_at: datetime
    revision: int
    """Of the snapshot that everything was compared with."""
    checked: int
    """How many records."""
    drift: Mapping[str, Mapping[str, int]]
    """By kind of drift and of record; all of it was repaired."""
    opened: int
    """Findings that came of it."""
    closed: int


def find_drift(marks: Mapping[Key, Mark], stored: Stored, told: Iterable[Known], limit: int) -> Drifted:
    """Compare; what we know as of a later revision than the limit is newer than what is told."""
    return dict(_drifts(marks, stored, {each.key: each for each in told}, limit))


def count(drifted: Drifted) -> dict[str, dict[str, int]]:
    """Count what has drifted, by kind of drift and of record."""
    counted = Counter((drift.value, kind) for (kind, _), drift in drifted.items())
    shown: dict[str, dict[str, int]] = {}
    for (drift, kind), number in sorted(counted.items()):
        shown.setdefault(drift, {})[kind] = number
    return shown


def _drifts(
    marks: Mapping[Key, Mark], stored: Stored, told: Mapping[Key, Known], limit: int
) -> Iterator[tuple[Key, Drift]]:
    for key, each in told.items():
        mark = marks.get(key)
        if mark is None:
            yield key, Drift.MISSING
        elif mark.revision <= limit and mark.digest != each.digest:
            yield key, Drift.DIFFERING
        elif mark.revision <= limit and stored.get(key, ()) != each.references:
            yield key, Drift.MISREAD
    for key, mark in marks.items():
        if mark.digest and key not in told and mark.revision <= limit:
            yield key, Drift.SURPLUS
