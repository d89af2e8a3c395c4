"""A finding is a fault that was noticed at a place: opened once, told, and closed when the fault is gone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal
from uuid import UUID

from modelbus.integrity.domain.references import Holder, Place, Role
from modelbus.integrity.domain.targets import TargetKind

WHOLE = "whole:"
"""Begins the key of a fault that is not one place's but of all that serve the same."""


class Severity(StrEnum):
    """How bad it is for whoever relies on the holder."""

    DEAD = "dead"
    """No place is left that could serve."""
    DEGRADED = "degraded"
    """Other places still can."""
    AT_RISK = "at_risk"
    """It serves now, but not as somebody may believe, or not for long."""


class FindingKind(StrEnum):
    """What a finding is called: like the rule that is broken; a stale reference by how bad it is, which may change."""

    DEAD = "dead"
    """It names something that is not available, and no place is left that could serve."""
    DEGRADED = "degraded"
    """It names something that is not available; other places can still serve."""
    SINGLE_POINT = "single_point"
    """One source is left that could serve."""
    SAME_SUPPLIER_ONLY = "same_supplier_only"
    """Every source that could serve is of one supplier."""
    CAPABILITY_MISMATCH = "capability_mismatch"
    """A fallback lacks what the first choice has."""
    COST_JUMP = "cost_jump"
    """A fallback costs a multiple of the first choice."""
    DUPLICATE_STEP = "duplicate_step"
    """An earlier step names the same."""
    CYCLE = "cycle"
    """Following replacements never ends."""
    RETIRING_SOON = "retiring_soon"
    """What it names is to be retired within the horizon."""
    PENDING_PRICE = "pending_price"
    """An available model has no price, though others do."""
    ORPHANED_PRICE = "orphaned_price"
    """A price is of a model that is not available."""
    NEGATIVE_MARGIN = "negative_margin"
    """A source costs more than its model is charged."""
    UNFLAGGED_SKIP = "unflagged_skip"
    """Routers pass it over as stale, and nothing was found there."""

    @classmethod
    def of(cls, rule: "Rule", severity: Severity) -> "FindingKind":
        """Call a finding by its rule and severity."""
        return cls(severity.value) if rule == STALE_REFERENCE else cls(rule)

    @property
    def origin(self) -> "tuple[Rule, Severity | None]":
        """Answer the rule, and the severity where it makes the difference."""
        if self in STALE_KINDS:
            return STALE_REFERENCE, Severity(self.value)
        return self, None


STALE_REFERENCE: Final = "stale_reference"
STALE_KINDS = (FindingKind.DEAD, FindingKind.DEGRADED)
"""What findings of that rule are called."""

type Rule = FindingKind | Literal["stale_reference"]
"""Which rule a place breaks."""


class State(StrEnum):
    """Where a finding is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Open, and somebody has said that they know; it opens again when it becomes worse."""
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """Why a finding was closed."""

    TARGET_RETURNED = "target_returned"
    REFERENCE_REMOVED = "reference_removed"
    """The place names something else now, or is gone, or its holder is not active any more."""
    MENDED = "mended"
    """The rule is kept again."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What makes two faults the same one."""

    rule: Rule
    holder_kind: str
    holder_id: UUID
    place_key: str
    target_kind: TargetKind
    target_id: UUID


@dataclass(frozen=True, slots=True)
class Fault:
    """What a rule has against a place now."""

    spot: Spot
    holder: Holder
    place: str
    target_name: str | None
    severity: Severity
    reason: str
    evidence: Mapping[str, Any]
    """What the rule has seen; texts, whole numbers and lists of texts."""

    @property
    def kind(self) -> FindingKind:
        """Answer what it is called."""
        return FindingKind.of(self.spot.rule, self.severity)

    @property
    def where(self) -> str:
        """Say where it is, for people."""
        return f"{self.holder.readable}, {self.place}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that was noticed and is open."""

    id: UUID
    fault: Fault
    """As it was last told."""

    def says(self, fault: Fault) -> bool:
        """Tell whether whoever heard of the finding knows all of the fault that matters."""
        known = self.fault
        return (known.severity, known.reason, known.evidence) == (fault.severity, fault.reason, fault.evidence)

    def shows(self, fault: Fault) -> bool:
        """Tell whether place and target are called as they are now."""
        return (self.fault.place, self.fault.target_name) == (fault.place, fault.target_name)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What must change so that the open findings are the faults."""

    opened: list[Fault]
    altered: list[tuple[Finding, Fault]]
    """Findings whose fault looks different now."""
    closed: list[tuple[Finding, Resolution]]


def rule_called(name: str) -> Rule:
    """Answer the rule that is kept under that name."""
    return STALE_REFERENCE if name == STALE_REFERENCE else FindingKind(name)


def spot_of(rule: Rule, place: Place) -> Spot:
    """Say where a rule finds its fault."""
    reference = place.reference
    key = (place.holder.kind.value, place.holder.id)
    return Spot(rule, *key, reference.place_key, reference.target_kind, reference.target_id)


def compare(faults: Collection[Fault], open_findings: Collection[Finding], places: Collection[Place]) -> Comparison:
    """Compare the faults of some holders with the open findings of the same; `places` are all places of theirs."""
    by_spot = {fault.spot: fault for fault in faults}
    known = {finding.fault.spot for finding in open_findings}
    in_use = _Uses(places)
    return Comparison(
        opened=[fault for fault in faults if fault.spot not in known],
        altered=[
            (finding, fault)
            for finding in open_findings
            if (fault := by_spot.get(finding.fault.spot)) and not (finding.says(fault) and finding.shows(fault))
        ],
        closed=[
            (finding, in_use.resolution(finding.fault.spot))
            for finding in open_findings
            if finding.fault.spot not in by_spot
        ],
    )


class _Uses:
    """What is still in use of some holders, which tells why a finding has gone."""

    def __init__(self, places: Collection[Place]) -> None:
        active = [place for place in places if place.holder.is_active]
        self._stale = {spot_of(STALE_REFERENCE, place) for place in active if place.reference.role != Role.OFFER}
        self._places = {(place.holder.key, place.reference.place_key) for place in active}
        self._places |= {(place.holder.key, f"{WHOLE}{place.reference.serves}") for place in active}

    def resolution(self, spot: Spot) -> Resolution:
        if spot.rule == STALE_REFERENCE:
            return Resolution.TARGET_RETURNED if spot in self._stale else Resolution.REFERENCE_REMOVED
        is_there = ((spot.holder_kind, spot.holder_id), spot.place_key) in self._places
        return Resolution.MENDED if is_there else Resolution.REFERENCE_REMOVED
