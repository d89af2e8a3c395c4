"""A reference is a place in the configuration that names a target; these rules say what breaks when targets go."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self
from uuid import UUID


class TargetKind(StrEnum):
    """What can be referred to, or what takes such things along when it goes."""

    MODEL = "model"
    SOURCE = "source"
    SUPPLIER = "supplier"
    CREDENTIAL = "credential"
    STRATEGY = "strategy"
    SCOPE = "scope"


class PlaceKind(StrEnum):
    """Where in its holder a reference is."""

    STEP = "step"
    ARM = "arm"
    SHADOW = "shadow"
    LEVEL = "level"
    JUDGE = "judge"
    MODEL = "model"
    DEFAULT = "default"
    ALLOWED_MODEL = "allowed_model"
    ALLOWED_SCOPE = "allowed_scope"
    STRATEGY = "strategy"
    REPLACEMENT = "replacement"
    TYPE_DEFAULT = "type_default"
    PRICE = "price"


class Severity(StrEnum):
    """What becomes of a holder whose reference breaks."""

    DEAD = "dead"
    """Nothing of what the place serves is left."""
    DEGRADED = "degraded"
    """Something else of the holder still serves."""
    DORMANT = "dormant"
    """The holder is not in service, so nobody is hurt."""
    ORPHANED = "orphaned"
    """The holder means nothing while its target is away, and is left as it is."""


HOLDERS = {
    "chain": "chain",
    "split": "split",
    "complexity": "complexity routing",
    "strategy": "cost strategy",
    "scope": "scope",
    "access_key": "access key",
    "consumer": "consumer",
    "credential": "credential",
    "model": "model",
    "price": "price",
}
"""How people call each kind of holder."""
_PLACES = {
    PlaceKind.STEP: "step {number}",
    PlaceKind.ARM: "arm {label!r}",
    PlaceKind.SHADOW: "shadow {label!r}",
    PlaceKind.LEVEL: "level {label}, position {number}",
    PlaceKind.JUDGE: "judge",
    PlaceKind.MODEL: "position {number}",
    PlaceKind.DEFAULT: "default",
    PlaceKind.ALLOWED_MODEL: "allowed model {number}",
    PlaceKind.ALLOWED_SCOPE: "allowed scope {number}",
    PlaceKind.STRATEGY: "strategy",
    PlaceKind.REPLACEMENT: "replacement",
    PlaceKind.TYPE_DEFAULT: "default of type {label}",
    PlaceKind.PRICE: "price",
}
_OPTIONAL = {PlaceKind.JUDGE, PlaceKind.STRATEGY, PlaceKind.REPLACEMENT, PlaceKind.SHADOW}
"""The holder does without: the local classifier, the router's default, no successor, no copies."""
BREAKING = {Severity.DEAD, Severity.DEGRADED}


type StaleModels = Mapping[UUID, tuple[str, str | None]]
"""The ids of models that are not available, to their names and why."""


@dataclass(frozen=True, slots=True)
class Place:
    """One reference, with how its target stands."""

    holder_kind: str
    holder_id: UUID
    holder_name: str
    is_active: bool
    """Whether the holder is in service."""
    kind: str
    label: str
    """What the place is for, where its holder has several such: the level, the name of the arm."""
    position: int
    target_kind: str
    target_id: UUID
    target_name: str
    model_id: UUID | None
    """The model that would answer: the target itself, or the model of the source that is the target."""
    is_available: bool
    """Whether the target can serve right now."""

    @property
    def text(self) -> str:
        """The place for people, for instance `step 2`."""
        return _PLACES[PlaceKind(self.kind)].format(label=self.label, number=self.position + 1)

    @property
    def group(self) -> tuple[UUID, str, str]:
        """Places of one group serve the same, so that each can stand in for another."""
        kind = PlaceKind.MODEL if self.kind == PlaceKind.DEFAULT else self.kind
        return self.holder_id, kind, "" if kind == PlaceKind.ARM else self.label


@dataclass(frozen=True, slots=True)
class Gone:
    """What a change takes away: models, sources, strategies and scopes, by their ids."""

    ids: frozenset[UUID] = frozenset()
    """Was available, and ceases to be."""
    deleted: frozenset[UUID] = frozenset()
    """Will be no more, whether it was available or not."""

    @property
    def all(self) -> frozenset[UUID]:
        """Both."""
        return self.ids | self.deleted

    def names(self, place: Place) -> bool:
        """Tell whether the reference names something of it."""
        return bool({place.target_id, place.model_id} & self.all)

    def breaks(self, place: Place) -> bool:
        """Tell whether the reference loses its target by this change; one that was stale before lost it before."""
        named = {place.target_id, place.model_id}
        return bool(named & self.deleted) or (place.is_available and bool(named & self.ids))

    def leaves(self, place: Place) -> bool:
        """Tell whether the reference's target can serve afterwards."""
        return place.is_available and not self.names(place)


@dataclass(frozen=True, slots=True)
class Finding:
    """One reference that a change breaks."""

    severity: Severity
    holder_kind: str
    holder_id: UUID
    holder_name: str
    place: str
    target_kind: str
    target_id: UUID
    target_name: str
    message: str

    def as_json(self) -> dict[str, Any]:
        """Answer it as the problem document lists it."""
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Consent:
    """What the caller wants done about references that the change would break; refused where nothing is said."""

    force: bool = False
    """Leave them stale."""
    replace_with: UUID | None = None
    """Rewrite them to this model, source, strategy or scope."""


NO_CONSENT = Consent()


@dataclass(frozen=True, slots=True)
class Departure:
    """Things of one kind that are about to be deleted, or taken out of service."""

    kind: TargetKind
    ids: frozenset[UUID]
    is_deleted: bool

    @classmethod
    def deleting(cls, kind: TargetKind, *ids: UUID) -> Self:
        """Name what is about to be deleted."""
        return cls(kind, frozenset(ids), is_deleted=True)

    @classmethod
    def disabling(cls, kind: TargetKind, *ids: UUID) -> Self:
        """Name what is about to be taken out of service."""
        return cls(kind, frozenset(ids), is_deleted=False)


@dataclass(frozen=True, slots=True)
class Replacement:
    """What takes the place of things that go: a model, by one exact source or by any; or a strategy or a scope."""

    id: UUID
    """Of the model, strategy or scope."""
    source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something about a configuration that was accepted, and that somebody should look at."""

    field: str
    """Path in the thing, for instance `steps.1.model_id`."""
    code: str
    """`not_available`, or `nothing_available` where none of several is."""
    message: str


def find_broken(places: Sequence[Place], gone: Gone) -> list[Finding]:
    """Find the references that break, the worst first; `places` are all places of the holders that have some."""
    alive = {place.group for place in places if gone.leaves(place)}
    broken = [_finding(place, alive) for place in places if gone.breaks(place)]
    return sorted(broken, key=lambda each: (list(Severity).index(each.severity), each.holder_kind, each.holder_name))


def redirected[Ids: list[UUID] | None](ids: Ids, lost: Collection[UUID], to: UUID) -> Ids | list[UUID]:
    """Answer the ids with another in the place of those that are lost, each once; None, which names all, stays."""
    return ids if ids is None else list(dict.fromkeys(to if each in lost else each for each in ids))


def notices_of(stale: Iterable[tuple[str, str, str | None]]) -> list[Notice]:
    """Make a notice of each stale reference: its field, its target's name, and why that is not available."""
    return [Notice(field, "not_available", f"{name!r} is not available: {reason}") for field, name, reason in stale]


def notices_of_models(model_ids: Sequence[UUID], stale: StaleModels) -> list[Notice]:
    """Make the notices of a set of models."""
    found = notices_of((f"model_ids.{place}", *stale[each]) for place, each in enumerate(model_ids) if each in stale)
    if found and len(found) == len(model_ids):
        found.append(Notice("model_ids", "nothing_available", "no model of the set could serve right now"))
    return found


def _finding(place: Place, alive: set[tuple[UUID, str, str]]) -> Finding:
    severity = _severity(place, alive)
    holder = f"{HOLDERS[place.holder_kind]} {place.holder_name!r}"
    return Finding(
        severity=severity,
        holder_kind=place.holder_kind,
        holder_id=place.holder_id,
        holder_name=place.holder_name,
        place=place.text,
        target_kind=place.target_kind,
        target_id=place.target_id,
        target_name=place.target_name,
        message=f"{holder}, {place.text} ({severity})",
    )


def _severity(place: Place, alive: set[tuple[UUID, str, str]]) -> Severity:
    if place.kind == PlaceKind.PRICE:
        return Severity.ORPHANED
    if not place.is_active:
        return Severity.DORMANT
    if place.kind in _OPTIONAL or place.group in alive:
        return Severity.DEGRADED
    return Severity.DEAD
