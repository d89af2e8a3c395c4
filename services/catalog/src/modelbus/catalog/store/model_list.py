"""The list that administrators work with: models with their sources, in a fixed number of statements."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.margins import Basis, Margin, margin_of
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.price_states import PriceState, state_of
from modelbus.catalog.domain.prices import UNITS, Amounts
from modelbus.catalog.domain.sources import BEST_FIRST, Health, best_health
from modelbus.catalog.store import rows
from modelbus.catalog.store.margins import cost_over
from modelbus.catalog.store.paging import BY_CREATION, Paging, page
from modelbus.catalog.store.prices import charges_now
from modelbus.catalog.store.tables import categories, models, sources, suppliers
from modelbus.catalog.store.tables.models import SEARCHED, alias_text, context_window_or_none, is_aliased

_PLACE = "place"
_offered = sources.c.model_id == models.c.id, sources.c.deleted_at.is_(None)
_best_health = (
    sa.select(sa.func.min(sa.case(*((sources.c.health == each, place) for place, each in enumerate(BEST_FIRST)))))
    .where(*_offered, sources.c.is_available)
    .correlate(models)
    .scalar_subquery()
)
SORTED_BY: dict[str, sa.ColumnElement[Any]] = {
    "name": models.c.name,
    "display_name": models.c.display_name,
    "updated_at": models.c.updated_at,
    "context_window": context_window_or_none,
    "source_count": sa.select(sa.func.count()).where(*_offered).correlate(models).scalar_subquery(),
}
_EQUAL = (
    "model_type",
    "sub_type",
    "tier",
    "lifecycle",
    "reason",
    "is_active",
    "is_available",
    "is_featured",
    "is_default",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFilter:
    """What a selection of models is narrowed to; None leaves it open."""

    search: str | None = None
    """Words that all have to be part of the name, display name, custom name, an alias or the description."""
    supplier_id: UUID | None = None
    model_type: str | None = None
    sub_type: str | None = None
    tag_id: UUID | None = None
    category_id: UUID | None = None
    """The category itself, or any below it."""
    capability_id: UUID | None = None
    tier: str | None = None
    lifecycle: str | None = None
    reason: str | None = None
    health: str | None = None
    price_state: str | None = None
    is_active: bool | None = None
    is_available: bool | None = None
    is_featured: bool | None = None
    is_default: bool | None = None


@dataclass(frozen=True, slots=True)
class ListedSource:
    """A source as the list of models shows it."""

    id: UUID
    model_id: UUID
    supplier_id: UUID
    supplier_name: str
    upstream_name: str
    is_enabled: bool
    is_available: bool
    reason: str | None
    health: str
    priority: int
    weight: int
    cost: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a model is charged, and costs at the cheapest of its available sources."""

    charge: Amounts | None = None
    cost: Amounts | None = None


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model with its sources, the preferred one first, and its prices."""

    model: Model
    sources: Sequence[ListedSource]
    standing: Standing

    @property
    def available(self) -> list[ListedSource]:
        """The sources that routing may use."""
        return [source for source in self.sources if source.is_available]

    @property
    def health(self) -> Health | None:
        """The best among the available sources."""
        return best_health(source.health for source in self.available)

    @property
    def price_state(self) -> PriceState | None:
        """How it stands to its price; None where it needs none, as it is not available."""
        return state_of(is_available=self.model.is_available, is_priced=self.standing.charge is not None)

    @property
    def margin(self) -> Margin:
        """What is left of the charge at the cheapest source."""
        return margin_of(self.standing.charge, self.standing.cost)


async def list_models(
    session: AsyncSession, wanted: ModelFilter, *, paging: Paging
) -> tuple[list[ListedModel], str | None]:
    """List a page of models with all their sources, and answer the cursor of the page after it; three statements."""
    place = models.c.id if paging.field == BY_CREATION else SORTED_BY[paging.field]
    query = page(_living(models, place.label(_PLACE)).where(*criteria(wanted)), models, paging, SORTED_BY)
    found = (await session.execute(query)).all()
    shown = found[: paging.limit]
    names = [field.name for field in fields(Model)]
    listed = [Model(**{name: row._mapping[name] for name in names}) for row in shown]  # noqa: SLF001 - public name
    ids = [model.id for model in listed]
    offered, standings = await _sources_of(session, ids), await _standings_of(session, ids)
    cursor = None
    if len(found) > paging.limit:
        last = shown[-1]._mapping  # noqa: SLF001 - the same
        cursor = paging.cursor_after(SimpleNamespace(**{"id": last["id"], paging.field: last[_PLACE]}))
    return [ListedModel(model, offered.get(model.id, []), standings[model.id]) for model in listed], cursor


async def count_models(session: AsyncSession, wanted: ModelFilter) -> int:
    """Count the models that the filter lets through."""
    return await session.scalar(_living(sa.func.count()).where(*criteria(wanted))) or 0


async def lock_matching_models(session: AsyncSession, wanted: ModelFilter, *, limit: int) -> dict[UUID, Model]:
    """Read the models that the filter lets through, and hold them; in order of id, as `lock_models` does."""
    query = _living(models).where(*criteria(wanted)).order_by(models.c.id).limit(limit).with_for_update()
    return {model.id: model for model in await rows.fetch_all(session, Model, query)}


def criteria(wanted: ModelFilter) -> list[sa.ColumnElement[bool]]:
    """Answer what a model must be for the filter to let it through."""
    found = [models.c[name] == value for name in _EQUAL if (value := getattr(wanted, name)) is not None]
    found += [_holds(word) for word in (wanted.search or "").split()]
    if wanted.supplier_id is not None:
        found.append(sa.exists().where(*_offered, sources.c.supplier_id == wanted.supplier_id))
    if wanted.tag_id is not None:
        given = _has(models.c.tag_ids, wanted.tag_id) | _has(models.c.rule_tag_ids, wanted.tag_id)
        found += [given, ~_has(models.c.untagged_ids, wanted.tag_id)]
    if wanted.category_id is not None:
        found.append(models.c.category_ids.overlap(_branch(wanted.category_id)))
    if wanted.capability_id is not None:
        found.append(models.c.capabilities.has_key(str(wanted.capability_id)))
    if wanted.price_state is not None:
        is_priced = sa.exists().where(charges_now.c.model_id == models.c.id)
        found += price_criteria(PriceState(wanted.price_state), is_priced)
    if wanted.health is not None:
        found.append(_best_health == BEST_FIRST.index(Health(wanted.health)))
    return found


def price_criteria(state: PriceState, is_priced: sa.ColumnElement[bool]) -> list[sa.ColumnElement[bool]]:
    """Answer what a model must be to stand to its price like that; `is_priced` tells whether one is in force."""
    wanted_available, wanted_priced = state != PriceState.ORPHANED, state != PriceState.PENDING
    return [
        models.c.is_available if wanted_available else ~models.c.is_available,
        is_priced if wanted_priced else ~is_priced,
    ]


def _living(*columns: Any) -> sa.Select[Any]:
    return sa.select(*columns).select_from(models).where(models.c.deleted_at.is_(None))


def _holds(word: str) -> sa.ColumnElement[bool]:
    # Few models have aliases; the others need not be asked for their text.
    by_alias = is_aliased & alias_text.icontains(word, autoescape=True)
    return sa.or_(*(models.c[name].icontains(word, autoescape=True) for name in SEARCHED), by_alias)


def _has(labels: sa.Column[Any], label: UUID) -> sa.ColumnElement[bool]:
    return labels.contains([label])


def _branch(category_id: UUID) -> sa.ColumnElement[Any]:
    """Answer the array of a category and of all that are below it."""
    root = sa.select(categories.c.id).where(categories.c.id == category_id).cte("branch", recursive=True)
    below = sa.select(categories.c.id).where(categories.c.parent_id == root.c.id, categories.c.deleted_at.is_(None))
    return sa.func.array(sa.select(root.union(below).c.id).scalar_subquery(), type_=ARRAY(sa.Uuid))


async def _sources_of(session: AsyncSession, model_ids: Collection[UUID]) -> dict[UUID, list[ListedSource]]:
    names = [field.name for field in fields(ListedSource) if field.name != "supplier_name"]
    query = (
        sa.select(*(sources.c[name] for name in names), suppliers.c.name.label("supplier_name"))
        .join(suppliers, suppliers.c.id == sources.c.supplier_id)
        .where(rows.among(sources.c.model_id, model_ids), sources.c.deleted_at.is_(None))
        .order_by(sources.c.priority, sources.c.id)
    )
    found: dict[UUID, list[ListedSource]] = {}
    for source in await rows.fetch_all(session, ListedSource, query):
        found.setdefault(source.model_id, []).append(source)
    return found


async def _standings_of(session: AsyncSession, model_ids: Collection[UUID]) -> dict[UUID, Standing]:
    over = cost_over(Basis.CHEAPEST)
    charged = {name: charges_now.c[name] for name in (*UNITS, "is_dynamic")}
    query = (
        sa.select(models.c.id, charges_now.c.price_id, *charged.values(), over.c.cost)
        .select_from(models.outerjoin(charges_now, charges_now.c.model_id == models.c.id).outerjoin(over, sa.true()))
        .where(rows.among(models.c.id, model_ids))
    )
    found: dict[UUID, Standing] = {}
    for row in await session.execute(query):
        charge = None if row.price_id is None else Amounts.read({name: getattr(row, name) for name in charged})
        found[row.id] = Standing(charge, None if row.cost is None else Amounts.read(row.cost))
    return found
