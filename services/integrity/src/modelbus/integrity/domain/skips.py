"""A place that a router passed over as stale, and that no finding says so of: one of the two is wrong."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modelbus.integrity.domain.findings import Fault, FindingKind, Severity, spot_of
from modelbus.integrity.domain.index import Key
from modelbus.integrity.domain.references import Place


@dataclass(frozen=True, slots=True)
class Skip:
    """What routers told of one place since it was looked at last."""

    holder_kind: str
    holder_id: UUID
    place_key: str
    """Of a chain its step, of a model `default`; empty where the target alone says which place it is."""
    target_id: UUID
    reason: str
    """Why the router takes it for stale."""
    times: int
    skipped_at: datetime
    """The last time."""
    catalog_revision: int
    """The newest that a router had."""

    @property
    def holder(self) -> Key:
        """Answer kind and id of what refers."""
        return self.holder_kind, self.holder_id

    def is_of(self, place: Place) -> bool:
        """Tell whether it is the place that was passed over."""
        reference = place.reference
        is_named = self.place_key in {"", reference.place_key}
        return place.holder.key == self.holder and is_named and reference.target_id == self.target_id


def fault_of(skip: Skip, place: Place) -> Fault:
    """Say what is wrong with a place that is passed over although nothing was found there."""
    evidence = {"reason": skip.reason, "times": skip.times, "catalog_revision": skip.catalog_revision}
    spot = spot_of(FindingKind.UNFLAGGED_SKIP, place)
    reason = "skipped_at_run_time"
    return Fault(spot, place.holder, place.reference.place, place.model.name, Severity.AT_RISK, reason, evidence)
