"""What one state of the catalog offers under each name: worked out when first asked for, kept as long as the table."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from modelbus.router.balance.offers import Offer, blended
from modelbus.router.balance.terms import Terms, terms_of
from modelbus.router.cache.records import COOLING, OK, Credential, Model, Source, Supplier
from modelbus.router.cache.routing import Scope
from modelbus.router.cache.table import Table
from modelbus.router.naming.meanings import Meaning, Step, at_level
from modelbus.router.naming.resolving import named
from modelbus.router.wire.endpoints import SPOKEN

_NO_FEATURES: Mapping[str, bool] = MappingProxyType({})
_MOST_NAMES = 10_000


@dataclass(frozen=True, slots=True)
class Stand:
    """What there is of one step, whoever asks."""

    step: Step
    model: Model | None
    """None once it is deleted."""
    offers: tuple[Offer, ...] = ()
    """Available, by priority."""
    absent: tuple[tuple[Source, str], ...] = ()
    """Sources that can't serve now, each with the reason."""
    why: str = ""
    """Why there is no offer; empty if there is one."""


@dataclass(frozen=True, slots=True)
class _Abilities:
    has: frozenset[str] | None
    terms: Terms | None


class Menu:
    """Everything that is known beforehand of how requests can be served."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._meanings: dict[tuple[str, UUID | None], Meaning] = {}
        self._levels: dict[tuple[str, str], Meaning] = {}
        self._stands: dict[tuple[UUID, str], Stand] = {}
        self._abilities: dict[UUID, _Abilities] = {}
        self._members: dict[UUID, frozenset[UUID]] = {}

    def meaning(self, name: str, scope: Scope | None) -> Meaning:
        """Answer what bears the name.

        Raises:
            ModelNotFoundError: nothing does.
        """
        key = (name, scope.id if scope else None)
        found = self._meanings.get(key)
        if found is None:
            found = named(self.table, name, scope)
            if len(self._meanings) >= _MOST_NAMES:
                self._meanings.clear()
            self._meanings[key] = found
        return found

    def at_level(self, meaning: Meaning, level: str) -> Meaning:
        """Answer what a complexity routing means for requests of that level."""
        key = (meaning.name, level)
        if key not in self._levels:
            self._levels[key] = at_level(meaning, level)
        return self._levels[key]

    def members(self, scope: Scope) -> frozenset[UUID]:
        """Answer the models of the scope."""
        if scope.id not in self._members:
            self._members[scope.id] = frozenset(scope.model_ids)
        return self._members[scope.id]

    def stand(self, step: Step) -> Stand:
        """Answer what there is of the step."""
        # Places of chains have ids; two splits may call arms alike that name different sources of one model.
        key = (step.id or step.source_id or step.model_id, step.place)
        found = self._stands.get(key)
        if found is None:
            found = self._stands[key] = self._look(step)
        return found

    def _look(self, step: Step) -> Stand:
        model = self.table.models.get(step.model_id)
        if model is None:
            return Stand(step, None, why="deleted")
        if not model.is_available:
            return Stand(step, model, why=model.reason or "not available")
        offers: list[Offer] = []
        absent: list[tuple[Source, str]] = []
        for source in sources_of(self.table, step):
            if reason := why_not(self.table, source, step.protocol):
                absent.append((source, reason))
            else:
                offers.append(self._offer(step, model, source))
        told = ", ".join(dict.fromkeys(reason for _, reason in absent))
        return Stand(step, model, tuple(offers), tuple(absent), "" if offers else told or "it has no source")

    def _offer(self, step: Step, model: Model, source: Source) -> Offer:
        supplier = self.table.suppliers.get(source.supplier_id)
        assert supplier is not None  # noqa: S101 - why_not has looked
        known = self._known(model)
        features = {**(source.features or _NO_FEATURES), **(step.features or _NO_FEATURES)}
        granted = {name for name, has in features.items() if has}
        denied = frozenset(features.keys() - granted)
        pool = _pool(self.table, supplier, model)
        return Offer(
            step,
            model,
            source,
            supplier,
            pool,
            step.protocol or source.protocol or supplier.protocol,
            known.terms,
            None if known.has is None else known.has | granted,
            denied,
            blended(source.cost),
            any(one.state == COOLING for one in pool),
        )

    def _known(self, model: Model) -> _Abilities:
        known = self._abilities.get(model.id)
        if known is None:
            names = {
                capability.name
                for held in model.capabilities
                if (capability := self.table.capabilities.get(held.capability_id))
            }
            has = frozenset(names) if model.capabilities else None
            known = self._abilities[model.id] = _Abilities(has, terms_of(model.parameters))
        return known


def sources_of(table: Table, step: Step) -> list[Source]:
    """Answer the sources that the step means, available or not, by priority."""
    sources = table.sources.found("model", step.model_id)
    return [source for source in sources if step.source_id in {None, source.id}]


def why_not(table: Table, source: Source, protocol: str | None = None) -> str | None:
    """Say why a source can't serve now; None if it can."""
    supplier = table.suppliers.get(source.supplier_id)
    if not source.is_available:
        return source.reason or "not available"
    if supplier is None or not supplier.is_active:
        return "supplier_disabled"
    if (spoken := protocol or source.protocol or supplier.protocol) not in SPOKEN:
        return f"supplier {supplier.name!r} speaks {spoken!r}, which is not routed"
    return None


def _pool(table: Table, supplier: Supplier, model: Model) -> tuple[Credential, ...]:
    """Answer the credentials that are usable, and those that are once they have cooled off."""
    return tuple(
        one
        for one in table.credentials.found("supplier", supplier.id)
        if one.is_active and one.state in {OK, COOLING} and (one.model_ids is None or model.id in one.model_ids)
    )
