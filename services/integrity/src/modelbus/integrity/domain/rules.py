"""The rules of a sound configuration; the live index, validation and proposals ask the same ones.

A holder that is not active is not judged: nothing is routed by it, so nobody is hurt; it is judged the moment it
becomes active. What is not known is never held against anybody.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from modelbus.integrity.domain.findings import STALE_REFERENCE, WHOLE, Fault, FindingKind, Rule, Severity, Spot, spot_of
from modelbus.integrity.domain.references import REPLACEMENT, HolderKind, Place, Role
from modelbus.integrity.domain.targets import DELETED, TargetKind, cheapest

HORIZON = timedelta(days=30)
"""What is to be retired within that time is retiring soon."""
COST_MULTIPLE = Decimal(3)
"""A fallback that costs at least so many times what the first choice costs is a jump."""
NEEDED_CAPABILITIES = frozenset({"tools", "vision", "structured_output"})
"""Without one of these a request that the first choice takes is refused by the fallback."""

_ROUTING = {Role.FALLBACK, Role.CHOICE}
_ALLOW_LISTS = {HolderKind.CONSUMER, HolderKind.ACCESS_KEY, HolderKind.CREDENTIAL}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the rules must know beside the places."""

    today: date
    is_charging: bool
    """Some model has a price; where none has, nobody misses one."""


type Group = list[Place]
"""All places of a holder that serve the same, in their order."""
type RuleCheck = Callable[[Group, Circumstances], Iterable[Fault]]


def find_faults(places: Iterable[Place], now: Circumstances) -> list[Fault]:
    """Find every fault among the places of some holders, all of each holder and in its order."""
    return [fault for group in groups_of(places) for check in _CHECKS for fault in check(group, now)]


def groups_of(places: Iterable[Place]) -> Iterator[Group]:
    """Answer the places of each active holder that serve the same."""
    active = [place for place in places if place.holder.is_active]
    for _, of_holder in groupby(active, key=lambda place: place.holder.key):
        by_serves: dict[str, Group] = {}
        for place in of_holder:
            by_serves.setdefault(place.reference.serves, []).append(place)
        yield from by_serves.values()


def _stale(group: Group, _now: Circumstances) -> Iterator[Fault]:
    is_served = any(place.problem is None for place in group)
    for place in group:
        if place.problem is None or place.reference.role in {Role.PRICE, Role.OFFER}:
            continue
        is_missed = not is_served and place.reference.role is not Role.ADVICE
        severity = Severity.DEAD if is_missed else Severity.DEGRADED
        yield _fault(STALE_REFERENCE, place, place.problem, severity=severity)


def _single_point(group: Group, _now: Circumstances) -> Iterator[Fault]:
    if not _is_routing(group):
        return
    left = {source.id: (source, place) for place in group for source in place.offers}
    if len(left) == 1:
        ((source, place),) = left.values()
        spot = _whole(FindingKind.SINGLE_POINT, group, TargetKind.SOURCE, source.id)
        evidence = {"model": place.model.name or "", "supplier": source.supplier_name or ""}
        yield _fault_of_all(spot, group, "one_source_left", place.model.name, evidence)


def _same_supplier(group: Group, _now: Circumstances) -> Iterator[Fault]:
    sources = {source.id: source for place in group for source in place.offers}
    suppliers = {source.supplier_id: source.supplier_name for source in sources.values()}
    alive = [place for place in group if place.offers]
    if not _is_fallback(group) or len(alive) < 2 or len(sources) < 2 or len(suppliers) != 1:  # noqa: PLR2004 - "all" needs two
        return
    ((supplier_id, name),) = suppliers.items()
    spot = _whole(FindingKind.SAME_SUPPLIER_ONLY, group, TargetKind.SUPPLIER, supplier_id)
    yield _fault_of_all(spot, group, "one_supplier", name, {"supplier": name or "", "places": _places(alive)})


def _capability_mismatch(group: Group, _now: Circumstances) -> Iterator[Fault]:
    if not _is_fallback(group) or group[0].model.problem == DELETED:
        return
    first = group[0]
    needed = _capabilities(first) & NEEDED_CAPABILITIES
    window = first.model.context_window
    for place in group[1:]:
        evidence: dict[str, Any] = {}
        # A model of which no capability is known may have them all.
        if (can := _capabilities(place)) and (lacks := sorted(needed - can)):
            evidence["lacks"] = lacks
        if window and place.model.context_window and place.model.context_window < window:
            evidence |= {"context_window": place.model.context_window, "first_context_window": window}
        if evidence and place.model.problem != DELETED:
            yield _fault(FindingKind.CAPABILITY_MISMATCH, place, "lacks_what_the_first_has", evidence)


def _cost_jump(group: Group, _now: Circumstances) -> Iterator[Fault]:
    if not _is_fallback(group):
        return
    first = cheapest(group[0].offers)
    for place in group[1:]:
        here = cheapest(place.offers)
        jumps = {
            unit: (first[unit], price)
            for unit, price in here.items()
            if unit in first and first[unit] > 0 and price >= first[unit] * COST_MULTIPLE
        }
        if jumps:
            evidence = {unit: [_money(before), _money(after)] for unit, (before, after) in jumps.items()}
            yield _fault(FindingKind.COST_JUMP, place, "costs_a_multiple", evidence)


def _duplicate_step(group: Group, _now: Circumstances) -> Iterator[Fault]:
    if not _is_fallback(group):
        return
    seen: dict[object, Place] = {}
    for place in group:
        earlier = seen.setdefault(place.reference.target_id, place)
        if earlier is not place:
            evidence = {"same_as": earlier.reference.place}
            yield _fault(FindingKind.DUPLICATE_STEP, place, "named_before", evidence)


def _cycle(group: Group, _now: Circumstances) -> Iterator[Fault]:
    for place in group:
        if place.reference.place_key == REPLACEMENT and place.reference.role is Role.ADVICE and place.model.ring:
            yield _fault(FindingKind.CYCLE, place, "replacements_form_a_ring", {"ring": list(place.model.ring)})


def _retiring_soon(group: Group, now: Circumstances) -> Iterator[Fault]:
    for place in group:
        moments = [place.model.retires_at, place.source.retires_at if place.source else None]
        dates = [moment.date() for moment in moments if moment is not None]
        # Whoever names what is gone already is told so by another rule.
        if place.problem or not dates or place.reference.role in {Role.PRICE, Role.OFFER}:
            continue
        if min(dates) <= now.today + HORIZON:
            yield _fault(FindingKind.RETIRING_SOON, place, "retires", {"retires_on": min(dates).isoformat()})


def _pending_price(group: Group, now: Circumstances) -> Iterator[Fault]:
    for place in group:
        is_offered = place.reference.role is Role.OFFER and place.problem is None
        if now.is_charging and is_offered and place.model.charge is None:
            yield _fault(FindingKind.PENDING_PRICE, place, "no_price")


def _orphaned_price(group: Group, _now: Circumstances) -> Iterator[Fault]:
    for place in group:
        if place.reference.role is Role.PRICE and place.problem is not None:
            yield _fault(FindingKind.ORPHANED_PRICE, place, place.problem)


def _negative_margin(group: Group, _now: Circumstances) -> Iterator[Fault]:
    for place in group:
        if place.reference.role is not Role.PRICE or place.model.charge is None:
            continue
        charges = dict(place.model.charge.by_unit())
        for source in place.offers:
            losses = {
                unit: [_money(charge), _money(cost)]
                for unit, cost in source.cost.by_unit()
                if cost is not None and (charge := charges[unit]) is not None and charge < cost
            }
            if losses:
                spot = Spot(FindingKind.NEGATIVE_MARGIN, *place.holder.key, "price", TargetKind.SOURCE, source.id)
                evidence = {"supplier": source.supplier_name or "", **losses}
                yield Fault(
                    spot, place.holder, "price", place.model.name, Severity.AT_RISK, "costs_more_than_charged", evidence
                )


_CHECKS: tuple[RuleCheck, ...] = (
    _stale,
    _single_point,
    _same_supplier,
    _capability_mismatch,
    _cost_jump,
    _duplicate_step,
    _cycle,
    _retiring_soon,
    _pending_price,
    _orphaned_price,
    _negative_margin,
)


def _is_fallback(group: Group) -> bool:
    return group[0].reference.role is Role.FALLBACK


def _is_routing(group: Group) -> bool:
    """Tell whether requests are routed by these places; an allow-list only permits."""
    return group[0].reference.role in _ROUTING and group[0].holder.kind not in _ALLOW_LISTS


def _capabilities(place: Place) -> frozenset[str]:
    """Answer what the place can do; a source's own word goes before its model's."""
    features = (place.source.features if place.source else None) or {}
    lacking = {name for name, has in features.items() if not has}
    having = {name for name, has in features.items() if has}
    return (place.model.capabilities | having) - lacking


def _whole(rule: Rule, group: Group, target_kind: TargetKind, target_id: Any) -> Spot:
    return Spot(rule, *group[0].holder.key, f"{WHOLE}{group[0].reference.serves}", target_kind, target_id)


def _fault_of_all(spot: Spot, group: Group, reason: str, target_name: str | None, evidence: Mapping[str, Any]) -> Fault:
    serves = group[0].reference.serves
    place = f"level {serves}" if serves else "all of it"
    return Fault(spot, group[0].holder, place, target_name, Severity.AT_RISK, reason, evidence)


def _fault(
    rule: Rule,
    place: Place,
    reason: str,
    evidence: Mapping[str, Any] | None = None,
    severity: Severity = Severity.AT_RISK,
) -> Fault:
    return Fault(
        spot_of(rule, place), place.holder, place.reference.place, place.model.name, severity, reason, evidence or {}
    )


def _places(group: Group) -> list[str]:
    return [place.reference.place for place in group]


def _money(amount: Decimal) -> str:
    """Write an amount the same however many zeros it was told with."""
    return f"{amount.normalize():f}"
