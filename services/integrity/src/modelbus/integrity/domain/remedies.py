"""What would mend a finding: which kind of change, and which models are nearest to what is lacking."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from modelbus.integrity.domain.findings import STALE_REFERENCE, WHOLE, Fault, FindingKind
from modelbus.integrity.domain.references import HolderKind, Place, Reference, Role
from modelbus.integrity.domain.rules import HORIZON, Circumstances, Group, find_faults
from modelbus.integrity.domain.targets import DELETED, Model, TargetKind, cheapest
from modelbus.integrity.domain.usage import Use

OFFERED = 5
"""As many models are proposed."""
FEW_REQUESTS = 20
"""So many say nothing of how often a model fails."""
_WEIGHTS = {"capabilities": 0.4, "context": 0.2, "price": 0.15, "supplier": 0.15, "health": 0.1}
_UNKNOWN = 0.5
_HEALTH = {"healthy": 1.0, "unknown": 0.7, "degraded": 0.3, "down": 0.0}
_NEW_PLACE = "proposed"

_REPLACED = {STALE_REFERENCE, FindingKind.RETIRING_SOON, FindingKind.CAPABILITY_MISMATCH, FindingKind.COST_JUMP}
_ADDED_TO = {FindingKind.SINGLE_POINT, FindingKind.SAME_SUPPLIER_ONLY}
_DROPPED = {FindingKind.DUPLICATE_STEP, FindingKind.CYCLE}


class Remedy(StrEnum):
    """What would be done."""

    REPLACE = "replace"
    """The place names another model."""
    ADD = "add"
    """One more place, tried last."""
    REMOVE = "remove"
    """The place goes."""


@dataclass(frozen=True, slots=True)
class RepairProposal:
    """One way to mend a finding."""

    remedy: Remedy
    model: Model | None = None
    """None where something only goes."""
    score: float = 0.0
    """From 0 to 1; of another model only."""
    reasons: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    """Kinds of findings that would be open at the place then."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A finding with all that decides how it may be mended."""

    fault: Fault
    group: Group
    """The places that serve the same; empty where the place is gone."""
    now: Circumstances

    @property
    def place(self) -> Place | None:
        """Answer the place itself; None where the finding is of all that serve the same."""
        key = self.fault.spot.place_key
        return next((place for place in self.group if place.reference.place_key == key), None)

    @property
    def remedies(self) -> frozenset[Remedy]:
        """Answer what may be done about it at all; a decision about money is nobody's but an administrator's."""
        rule, place = self.fault.spot.rule, self.place
        if rule in _ADDED_TO and self.group and self.fault.holder.kind in {HolderKind.CHAIN, HolderKind.COMPLEXITY}:
            return frozenset({Remedy.ADD})
        if place is None:
            return frozenset()
        others_serve = any(other.problem is None for other in self.group if other is not place)
        is_missed = place.reference.role in {Role.FALLBACK, Role.CHOICE} and not others_serve
        may_go = frozenset() if is_missed else frozenset({Remedy.REMOVE})
        if rule in _DROPPED:
            return may_go
        # Which model goes by a name is nobody's but an administrator's decision either.
        if rule not in _REPLACED or place.reference.role in {Role.PRICE, Role.OFFER, Role.NAME}:
            return frozenset()
        return may_go | {Remedy.REPLACE}

    @property
    def taken(self) -> set[UUID]:
        """Answer the models that are named there already, and the holder itself.

        A place that names an exact source may name its model instead, which others may serve.
        """
        own = self.place if self.place is not None and self.place.source is not None else None
        return {place.model.id for place in self.group if place is not own} | {self.fault.spot.holder_id}

    @property
    def wanted(self) -> Model | None:
        """Answer the model that another one has to come near; None where nothing is known of any."""
        own = self.place.model if self.place and self.fault.spot.rule not in _BY_THE_FIRST else None
        known = [model for model in (own, *(place.model for place in self.group)) if model and model.problem != DELETED]
        return known[0] if known else None


_BY_THE_FIRST = {FindingKind.CAPABILITY_MISMATCH, FindingKind.COST_JUMP}


def propose(patient: Patient, models: Iterable[Model], uses: Mapping[UUID, Use]) -> list[RepairProposal]:
    """Rank what would mend the finding; only what does, by the rules themselves, is proposed."""
    proposals: list[RepairProposal] = []
    another = patient.remedies & {Remedy.REPLACE, Remedy.ADD}
    for remedy in another:
        candidates = [model for model in models if _is_candidate(patient, model)]
        ranked = [_ranked(patient, remedy, model, uses.get(model.id, Use())) for model in candidates]
        # By name where all else is equal, so that the same question has the same answer.
        ranked.sort(key=lambda each: (-each.score, each.model.name if each.model and each.model.name else ""))
        mending = (each for proposal in ranked if (each := _tried(patient, proposal)) is not None)
        proposals += [each for each, _ in zip(mending, range(OFFERED), strict=False)]
    if Remedy.REMOVE in patient.remedies:
        proposals.append(RepairProposal(Remedy.REMOVE, reasons=("it is not needed: the rest serves without it",)))
    return proposals


def _is_candidate(patient: Patient, model: Model) -> bool:
    wanted = patient.wanted
    is_of_type = wanted is None or wanted.model_type is None or model.model_type == wanted.model_type
    return (
        is_of_type and bool(model.offers) and model.id not in patient.taken and not _retires(model, patient.now.today)
    )


def _retires(model: Model, today: date) -> bool:
    return model.retires_at is not None and model.retires_at.date() <= today + HORIZON


def _tried(patient: Patient, proposal: RepairProposal) -> RepairProposal | None:
    """Judge the places as they would be; None where the finding would stay."""
    assert proposal.model is not None  # noqa: S101 - only models are tried
    spot = patient.fault.spot
    after = [_with(place, proposal.model) if place is patient.place else place for place in patient.group]
    key = spot.place_key
    if proposal.remedy is Remedy.ADD:
        after.append(_added(patient.group[-1], proposal.model))
        key = _NEW_PLACE
    faults = find_faults(after, patient.now)
    if any((fault.spot.rule, fault.spot.place_key) == (spot.rule, spot.place_key) for fault in faults):
        return None
    return replace(
        proposal, leaves=tuple(sorted({fault.kind.value for fault in faults if fault.spot.place_key == key}))
    )


def _with(place: Place, model: Model) -> Place:
    reference = replace(place.reference, target_kind=TargetKind.MODEL, target_id=model.id, model_id=model.id)
    return replace(place, reference=reference, model=model, source=None)


def _added(last: Place, model: Model) -> Place:
    reference = Reference(
        _NEW_PLACE, _NEW_PLACE, last.reference.serves, TargetKind.MODEL, model.id, model.id, last.reference.role
    )
    return Place(last.holder, last.ordinal + 1, reference, model, None)


def _ranked(patient: Patient, remedy: Remedy, model: Model, use: Use) -> RepairProposal:
    wanted = patient.wanted
    if wanted is None:
        return RepairProposal(remedy, model, _UNKNOWN, ("nothing is known of what it would replace",))
    others = {source.supplier_id for place in patient.group if place is not patient.place for source in place.offers}
    if remedy is Remedy.ADD:
        others = {source.supplier_id for place in patient.group for source in place.offers}
    judged = {
        "capabilities": _cover(wanted, model),
        "context": _context(wanted, model),
        "price": _price(wanted, model),
        "supplier": _diversity(others, model),
        "health": _health(model, use),
    }
    score = sum(_WEIGHTS[name] * mark for name, (mark, _) in judged.items())
    reasons = tuple(reason for _, reason in judged.values() if reason)
    if wanted.replacement_id == model.id:
        # Somebody has said so, which is worth more than any comparison.
        return RepairProposal(remedy, model, 1.0, ("it is named as the replacement", *reasons))
    return RepairProposal(remedy, model, round(min(score, 0.999), 3), reasons)


def _cover(wanted: Model, model: Model) -> tuple[float, str]:
    if not wanted.capabilities or not model.capabilities:
        return _UNKNOWN, "not known what either can do"
    lacks = sorted(wanted.capabilities - model.capabilities)
    mark = 1 - len(lacks) / len(wanted.capabilities)
    return mark, f"lacks {', '.join(lacks)}" if lacks else "can do all that is needed"


def _context(wanted: Model, model: Model) -> tuple[float, str]:
    if not wanted.context_window or not model.context_window:
        return _UNKNOWN, ""
    mark = min(1.0, model.context_window / wanted.context_window)
    return mark, f"context of {model.context_window} tokens, and {wanted.context_window} before"


def _price(wanted: Model, model: Model) -> tuple[float, str]:
    before, after = cheapest(wanted.sources), cheapest(model.offers)
    units = before.keys() & after.keys()
    if not units:
        return _UNKNOWN, ""
    old, new = (sum((prices[unit] for unit in units), Decimal()) for prices in (before, after))
    if old == new:
        return 1.0, "costs the same"
    mark = float(min(old, new) / max(old, new))
    return mark, f"costs {new / old:.2f} times as much" if old else "costs something, which the other did not"


def _diversity(others: Collection[UUID], model: Model) -> tuple[float, str]:
    if not others or {source.supplier_id for source in model.offers} - set(others):
        return 1.0, "of a supplier that no other place has" if others else ""
    return 0.0, "of the supplier that other places have"


def _health(model: Model, use: Use) -> tuple[float, str]:
    best = max((source.health for source in model.offers), key=lambda health: _HEALTH.get(health, _UNKNOWN))
    mark, words = _HEALTH.get(best, _UNKNOWN), "" if best == "unknown" else f"{best} right now"
    if use.requests < FEW_REQUESTS:
        return mark, words
    failed = use.failures / use.requests
    told = f"failed {failed:.1%} of {use.requests} recent requests"
    return mark * (1 - failed), f"{words}, {told}" if words else told


def group_of(fault: Fault, groups: Iterable[Group]) -> Group:
    """Find the places that the fault is of; none where they are gone or out of service."""
    key = fault.spot.place_key
    for group in groups:
        keys = {place.reference.place_key for place in group}
        if key in keys or key == f"{WHOLE}{group[0].reference.serves}":
            return group
    return []
