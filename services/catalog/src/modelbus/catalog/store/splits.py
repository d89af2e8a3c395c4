"""Queries about splits, their arms and their shadows."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, notices_of
from modelbus.catalog.domain.splits import Arm, Shadow, Split
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.references import HolderFilter
from modelbus.catalog.store.tables import models, sources, split_arms, split_shadows, splits

_alive = sa.select(splits).where(splits.c.deleted_at.is_(None))
_shown = sa.select(*(column for column in splits.c if column.name != "deleted_at")).where(splits.c.deleted_at.is_(None))
_is_available = models.c.is_available & sa.func.coalesce(sources.c.is_available, sa.true())


@dataclass(frozen=True, slots=True)
class VariantRow:
    """An arm or a shadow, and whether it could serve right now."""

    name: str
    model_id: UUID
    model_name: str
    source_id: UUID | None
    is_available: bool
    reason: str | None
    weight: int = 0
    """Of an arm."""
    percent: float = 0.0
    """Of a shadow."""


@dataclass(frozen=True, slots=True)
class SplitRow:
    """A split, and how its arms and shadows stand right now."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    sticky_by: str
    created_at: datetime
    updated_at: datetime
    version: int
    arms: list[VariantRow] = field(default_factory=list)
    shadows: list[VariantRow] = field(default_factory=list)

    @property
    def warnings(self) -> list[Notice]:
        """What of it is stale."""
        found = [*_notices("arms", self.arms), *_notices("shadows", self.shadows)]
        if not any(arm.is_available for arm in self.arms):
            found.append(Notice("arms", "nothing_available", "no arm could serve right now"))
        return found


def _notices(path: str, variants: list[VariantRow]) -> list[Notice]:
    return notices_of(
        (f"{path}.{at}.{'source_id' if each.source_id else 'model_id'}", each.model_name, each.reason)
        for at, each in enumerate(variants)
        if not each.is_available
    )


def _has_variant(which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Tell whether the model or the source of an arm or a shadow of the split is so."""
    found = []
    for table in (split_arms, split_shadows):
        places = table.join(models, models.c.id == table.c.model_id)
        query = sa.select(1).select_from(places.outerjoin(sources, sources.c.id == table.c.source_id))
        found.append(sa.exists(query.where(table.c.split_id == splits.c.id, which).correlate(splits)))
    return sa.or_(*found)


_has_stale = _has_variant(~_is_available)


def _refers_to(model_id: UUID) -> sa.ColumnElement[bool]:
    return _has_variant(models.c.id == model_id)


async def show_split(session: AsyncSession, split_id: UUID) -> SplitRow:
    """Read a split as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, SplitRow, _shown.where(splits.c.id == split_id))
    if found is None:
        raise NotFoundError("split", split_id)
    [standing] = await _standing(session, [found])
    return standing


async def list_splits(session: AsyncSession, wanted: HolderFilter, *, paging: Paging) -> list[SplitRow]:
    """List splits as they stand right now, one more than the page holds."""
    query = references.narrowed(_shown, splits, wanted, refers_to=_refers_to, has_stale=_has_stale)
    return await _standing(session, await rows.fetch_all(session, SplitRow, page(query, splits, paging)))


async def lock_split(session: AsyncSession, split_id: UUID) -> Split:
    """Read a split and keep others from changing it until the transaction ends.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    await references.lock_holder(session, splits, split_id)
    return await get_split(session, split_id)


async def get_split(session: AsyncSession, split_id: UUID) -> Split:
    """Read a split.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await _whole(session, _alive.where(splits.c.id == split_id))
    if not found:
        raise NotFoundError("split", split_id)
    return found[0]


async def is_name_taken(session: AsyncSession, name: str, *, but: UUID | None = None) -> bool:
    """Tell whether a split, other than the one that is named, has that name."""
    others = _alive.where(splits.c.name == name)
    if but is not None:
        others = others.where(splits.c.id != but)
    return await session.scalar(sa.select(sa.exists(others))) or False


async def taken_names(session: AsyncSession, names: Collection[str]) -> set[str]:
    """Answer which of the names splits have."""
    query = sa.select(splits.c.name).where(rows.among(splits.c.name, names), splits.c.deleted_at.is_(None))
    return set(await session.scalars(query))


async def every_split(session: AsyncSession) -> list[Split]:
    """Read every split for the snapshot."""
    return await _whole(session, _alive.order_by(splits.c.id))


async def insert_split(session: AsyncSession, split: Split) -> None:
    """Add the split with its arms and shadows."""
    await references.insert_holder(session, splits, split)
    await save_arms(session, split)
    await save_shadows(session, split)


async def save_split(session: AsyncSession, split: Split) -> None:
    """Write the split's fields, its arms and shadows left as they are."""
    await references.save_holder(session, splits, split)


async def save_arms(session: AsyncSession, split: Split) -> None:
    """Write the split's arms in place of those that it had."""
    places = [{**_place(at, arm), "weight": arm.weight} for at, arm in enumerate(split.arms)]
    await references.replace_places(session, split_arms.c.split_id, split.id, places)


async def save_shadows(session: AsyncSession, split: Split) -> None:
    """Write the split's shadows in place of those that it had."""
    places = [{**_place(at, shadow), "percent": shadow.percent} for at, shadow in enumerate(split.shadows)]
    await references.replace_places(session, split_shadows.c.split_id, split.id, places)


def _place(position: int, variant: Arm | Shadow) -> dict[str, Any]:
    named = {"model_id": variant.model_id, "source_id": variant.source_id}
    return {"position": position, "name": variant.name, **named}


async def _whole(session: AsyncSession, query: sa.Select[Any]) -> list[Split]:
    arms: dict[UUID, list[Arm]] = defaultdict(list)
    shadows: dict[UUID, list[Shadow]] = defaultdict(list)
    found = await rows.fetch_all(session, Split, query)
    ids = [split.id for split in found]
    for row in await session.execute(_in_order(sa.select(split_arms), split_arms, ids)):
        arms[row.split_id].append(Arm(row.name, row.model_id, row.weight, row.source_id))
    for row in await session.execute(_in_order(sa.select(split_shadows), split_shadows, ids)):
        shadows[row.split_id].append(Shadow(row.name, row.model_id, row.percent, row.source_id))
    return [replace(split, arms=tuple(arms[split.id]), shadows=tuple(shadows[split.id])) for split in found]


async def _standing(session: AsyncSession, found: list[SplitRow]) -> list[SplitRow]:
    """Add arms and shadows; one that names a source is out as well while its model is disabled."""
    ids = [split.id for split in found]
    arms = await _variants(session, split_arms, ids, "weight")
    shadows = await _variants(session, split_shadows, ids, "percent")
    return [replace(split, arms=arms[split.id], shadows=shadows[split.id]) for split in found]


async def _variants(
    session: AsyncSession, table: sa.Table, split_ids: Collection[UUID], share: str
) -> dict[UUID, list[VariantRow]]:
    shown = sa.select(
        *(table.c[name] for name in ("split_id", "name", "model_id", "source_id", share)),
        models.c.name.label("model_name"),
        _is_available.label("is_available"),
        sa.func.coalesce(sources.c.reason, models.c.reason).label("reason"),
    )
    placed = shown.join(models, models.c.id == table.c.model_id).outerjoin(sources, sources.c.id == table.c.source_id)
    variants: dict[UUID, list[VariantRow]] = defaultdict(list)
    for row in (await session.execute(_in_order(placed, table, split_ids))).mappings():
        told = dict(row)
        variants[told.pop("split_id")].append(VariantRow(**told))
    return variants


def _in_order(query: sa.Select[Any], table: sa.Table, split_ids: Collection[UUID]) -> sa.Select[Any]:
    return query.where(rows.among(table.c.split_id, split_ids)).order_by(table.c.split_id, table.c.position)
