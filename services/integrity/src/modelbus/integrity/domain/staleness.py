"""A reference is stale when what it names is not available; a holder that is not active is not flagged.

Nothing is routed by an inactive holder, so nobody is hurt; it is judged the moment it becomes active.
"""

from collections.abc import Iterable

from modelbus.integrity.domain.findings import Fault, FindingKind, Severity, spot_of
from modelbus.integrity.domain.references import Place


def stale_because(place: Place) -> str | None:
    """Answer why the place can't serve; None when it can.

    A step that names an exact source needs its model too: a disabled model is not served from any source.
    """
    return place.source_problem or place.model_problem


def find_stale(places: Iterable[Place]) -> list[Fault]:
    """Find the stale references among all places of some holders."""
    judged = [(place, stale_because(place)) for place in places if place.holder_is_active]
    alive = {_served_by(place) for place, reason in judged if reason is None}
    return [
        Fault(
            spot=spot_of(FindingKind.STALE_REFERENCE, place),
            holder_kind=place.holder_kind,
            holder_name=place.holder_name,
            place=place.reference.place,
            target_name=place.model_name,
            severity=Severity.DEGRADED if _served_by(place) in alive else Severity.DEAD,
            reason=reason,
        )
        for place, reason in judged
        if reason is not None
    ]


def _served_by(place: Place) -> tuple[object, str]:
    return place.holder_id, place.reference.serves
