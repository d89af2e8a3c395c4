"""A finding is a fault that was noticed at a place: opened once, told, and closed when the fault is gone."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from modelbus.integrity.domain.references import HolderKind, Place
from modelbus.integrity.domain.targets import TargetKind


class FindingKind(StrEnum):
    """Which rule a place breaks."""

    STALE_REFERENCE = "stale_reference"
    """It names something that is not available."""


class Severity(StrEnum):
    """How bad it is for whoever relies on the holder."""

    DEAD = "dead"
    """No place is left that could serve."""
    DEGRADED = "degraded"
    """Other places still can."""


class State(StrEnum):
    """Where a finding is in its life."""

    OPEN = "open"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """Why a finding was closed."""

    TARGET_RETURNED = "target_returned"
    REFERENCE_REMOVED = "reference_removed"
    """The place names something else now, or is gone, or its holder is not active any more."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What makes two faults the same one."""

    kind: FindingKind
    holder_id: UUID
    place_key: str
    target_kind: TargetKind
    target_id: UUID


@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule has against a place now."""

    spot: Spot
    holder_kind: HolderKind
    holder_name: str | None
    place: str
    target_name: str | None
    severity: Severity
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that was noticed and is open."""

    id: UUID
    spot: Spot
    holder_kind: HolderKind
    holder_name: str | None
    place: str
    severity: Severity
    reason: str

    def says(self, fault: Fault) -> bool:
        """Tell whether whoever heard of the finding knows all of the fault that matters."""
        return (self.severity, self.reason) == (fault.severity, fault.reason)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What must change so that the open findings are the faults."""

    opened: list[Fault]
    altered: list[tuple[Finding, Fault]]
    """Findings whose fault looks different now."""
    closed: list[tuple[Finding, Resolution]]


def spot_of(kind: FindingKind, place: Place) -> Spot:
    """Say where a rule finds its fault."""
    reference = place.reference
    return Spot(kind, place.holder_id, reference.place_key, reference.target_kind, reference.target_id)


def compare(faults: Collection[Fault], open_findings: Collection[Finding], places: Collection[Place]) -> Comparison:
    """Compare the faults of some holders with the open findings of the same; `places` are all places of theirs."""
    by_spot = {fault.spot: fault for fault in faults}
    known = {finding.spot for finding in open_findings}
    in_use = {spot_of(kind, place) for place in places if place.holder_is_active for kind in FindingKind}
    return Comparison(
        opened=[fault for fault in faults if fault.spot not in known],
        altered=[
            (finding, fault)
            for finding in open_findings
            if (fault := by_spot.get(finding.spot)) and not (finding.says(fault) and finding.place == fault.place)
        ],
        closed=[
            (finding, Resolution.TARGET_RETURNED if finding.spot in in_use else Resolution.REFERENCE_REMOVED)
            for finding in open_findings
            if finding.spot not in by_spot
        ],
    )
