"""Queries about listings that were applied or refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.background import Remark, hints_of, rows_of
from modelbus.catalog.domain.listings import ids_of
from modelbus.catalog.domain.models import CAPABILITIES, LISTED_FIELDS, TOLD_FIELDS
from modelbus.catalog.domain.provenance import INFERRED, METADATA
from modelbus.catalog.domain.sources import Origin
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.store.tables import applied_listings, models, refused_listings, sources, suppliers
from modelbus.contracts.catalog import CatalogSynced
from modelbus.contracts.sync import Life, ListedModel

NOT_COMPARED = {"capabilities", "held"}
"""What a listing tells and no model or source has as it stands there."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Which listing was applied, and when."""

    digest: str
    listing_revision: int
    """Sync's, of the event that announced it."""
    listing_epoch: UUID | None
    applied_at: datetime


async def plan_anew(session: AsyncSession) -> None:
    """Have PostgreSQL plan the transaction's statements for the tables as they are now.

    It keeps the plans of statements that it has seen a few times: one made while a table was empty would read all of
    it for each offer of the next listing.
    """
    await session.execute(sa.text("SET LOCAL plan_cache_mode = force_custom_plan"))


async def is_applied(session: AsyncSession, run_id: UUID) -> bool:
    """Tell whether the run's listing has been applied."""
    query = sa.select(applied_listings.c.run_id).where(applied_listings.c.run_id == run_id)
    return await session.scalar(query) is not None


async def last_applied_at(session: AsyncSession, supplier_id: UUID) -> datetime | None:
    """Answer when the newest listing of the supplier was applied."""
    query = sa.select(sa.func.max(applied_listings.c.applied_at))
    at: datetime | None = await session.scalar(query.where(applied_listings.c.supplier_id == supplier_id))
    return at


async def is_overtaken(session: AsyncSession, supplier_id: UUID, revision: int, epoch: UUID | None) -> bool:
    """Tell whether a listing of the supplier was applied that sync announced later than at this revision.

    Revisions are compared within an epoch: a database of sync's that was restored may count from an earlier one. What
    was applied before epochs were kept is of the first.
    """
    applied = applied_listings.c
    newest, first = sa.func.max(applied.listing_revision), sa.func.min(applied.applied_at)
    query = sa.select(applied.listing_epoch, newest, first).where(applied.supplier_id == supplier_id)
    rows = await session.execute(query.group_by(applied.listing_epoch))
    found = {of: (reached, begun_at) for of, reached, begun_at in rows}
    reached, begun_at = found.pop(epoch, (0, None))
    unknown_reached, _ = found.pop(None, (0, None))
    # Who has gone on to another epoch does not come back.
    is_over = begun_at is not None and any(begun_at < later for _, later in found.values())
    return is_over or revision <= max(reached, 0 if found else unknown_reached)


async def differing(
    session: AsyncSession,
    supplier: Supplier,
    listed: Sequence[ListedModel],
    known: Mapping[str, UUID] = MappingProxyType({}),
    remarks: Mapping[str, Sequence[Remark]] = MappingProxyType({}),
) -> set[str]:
    """Answer the upstream names of the offers that `domain.listings.plan` has to look at.

    PostgreSQL compares, so that nothing is loaded of what is as it was. It may name an offer too many, never one
    too few: what is not named is listed, was never missed, and says nothing that the catalog does not hold.
    `known` are the catalog's capabilities by name, `remarks` what metadata files say of the upstream names.
    """
    offers = _table_of(supplier, listed, known, remarks)
    is_filled = any(each.upstream_name in remarks for each in listed)
    held = (
        sa.select(sources.c.id)
        .join(models, models.c.id == sources.c.model_id)
        .where(
            sources.c.supplier_id == supplier.id,
            sources.c.upstream_name == offers.c.upstream_name,
            sources.c.deleted_at.is_(None),
            sources.c.is_listed,
            sources.c.missed == 0,
            (sources.c.cost_origin == Origin.ADMINISTRATOR)
            | ((sources.c.cost == offers.c.said["cost"]) & _costs(offers.c.behind, is_filled=is_filled)),
            models.c.deleted_at.is_(None),
            models.c.name == offers.c.public_name,
            *(_holds(name, offers.c.said[name], supplier) for name in sorted(LISTED_FIELDS)),
            _holds(CAPABILITIES, offers.c.able, supplier),
            *_fills(offers.c.behind, supplier, is_filled=is_filled),
            *_lives(offers.c.said["life"], is_told=any(each.life for each in listed)),
        )
        # With a limit, one look into the index for each offer, whatever the planner believes of tables that have
        # just been filled.
        .limit(1)
        .lateral("held")
    )
    query = sa.select(offers.c.upstream_name).outerjoin(held, sa.true()).where(held.c.id.is_(None))
    return set(await session.scalars(query))


def _table_of(
    supplier: Supplier,
    listed: Sequence[ListedModel],
    known: Mapping[str, UUID],
    remarks: Mapping[str, Sequence[Remark]],
) -> sa.TableValuedAlias:
    """Answer the listed models as a table of their names and, as JSON, of what is said of them."""
    names = [each.upstream_name for each in listed], [supplier.public_name(each.upstream_name) for each in listed]
    written = {
        "said": [each.model_dump_json(exclude=NOT_COMPARED) for each in listed],
        "able": _written_capabilities(listed, known),
        "behind": [_written_remarks(supplier, each, remarks.get(each.upstream_name, ())) for each in listed],
    }
    texts = [sa.bindparam(None, given, type_=ARRAY(sa.Text)) for given in (*names, *written.values())]
    columns: tuple[Any, ...] = ("upstream_name", "public_name", *(sa.column(name, JSONB) for name in written))
    unnested = sa.func.unnest(*texts[: len(names)], *(sa.cast(each, ARRAY(JSONB)) for each in texts[len(names) :]))
    return unnested.table_valued(*columns).render_derived("offers")


def _holds(name: str, told: sa.ColumnElement[Any], supplier: Supplier) -> sa.ColumnElement[bool]:
    """Compare a field as `domain.listings` does: not told, told before and the same, or somebody's who goes before.

    What is not the model's is compared with what the source keeps of it.
    """
    teller, own = models.c.provenance[name].astext, str(supplier.id)
    said = sources.c.said[name]
    is_untold = told.is_(None) | (told == sa.literal_column("'null'::jsonb"))
    is_same = (teller == own) & (sa.func.to_jsonb(models.c[name]) == told)
    is_fixed = (teller != own) & (teller != INFERRED) & ~teller.like(f"{METADATA}:%")
    return sa.or_(is_untold & said.is_(None), is_same, is_fixed & (said == told))


def _fills(behind: sa.ColumnElement[Any], supplier: Supplier, *, is_filled: bool) -> Iterator[sa.ColumnElement[bool]]:
    """Compare what metadata files say; where they say nothing, without looking into each field."""
    if not is_filled:
        yield sources.c.background.is_(None)
        return
    yield sources.c.background.is_not_distinct_from(behind["rows"])
    own = str(supplier.id)
    for name in sorted({*TOLD_FIELDS, CAPABILITIES}):
        hint, teller = behind["hints"][name], models.c.provenance[name].astext
        written = hint[1]
        is_value = (
            models.c[name] == sa.cast(written.astext, models.c[name].type)
            if isinstance(models.c[name].type, sa.DateTime)
            else sa.func.to_jsonb(models.c[name]) == written
        )
        is_fixed = (teller != own) & (teller != INFERRED) & ~teller.like(f"{METADATA}:%:{own}")
        yield sa.or_(hint.is_(None), is_fixed, (teller == hint[0].astext) & is_value)


def _costs(behind: sa.ColumnElement[Any], *, is_filled: bool) -> sa.ColumnElement[bool]:
    if not is_filled:
        return sources.c.cost_origin == Origin.LISTING
    is_from_file = behind["tells_cost"].astext == "true"
    return sources.c.cost_origin == sa.case((is_from_file, Origin.METADATA.value), else_=Origin.LISTING.value)


def _lives(said: sa.ColumnElement[Any], *, is_told: bool) -> Iterator[sa.ColumnElement[bool]]:
    """Compare the days of a source's life; where nobody tells any, without looking for them in each offer."""
    for name in Life.model_fields:
        told = sa.cast(said[name].astext, sources.c[name].type)
        yield sources.c[name].is_not_distinct_from(told) if is_told else sources.c[name].is_(None)


def _written_remarks(supplier: Supplier, listed: ListedModel, remarks: Sequence[Remark]) -> str | None:
    """Write what metadata files say of a model, and which of it counts, as JSON; None where they say nothing."""
    if not remarks:
        return None
    told = {name: True for name in (*LISTED_FIELDS, CAPABILITIES) if getattr(listed, name) is not None}
    hints = hints_of(remarks, told, supplier.id)
    written: dict[str, Any] = {name: [hint.by, hint.written] for name, hint in hints.items()}
    tells_cost = any(remark.tells_cost for remark in remarks)
    return json.dumps({"rows": rows_of(remarks), "hints": written, "tells_cost": tells_cost})


def _written_capabilities(listed: Sequence[ListedModel], known: Mapping[str, UUID]) -> list[str | None]:
    """Write what each model can do as JSON; a listing of many models has few combinations."""
    written: dict[tuple[str, ...] | None, str | None] = {None: None}
    keys = [None if each.capabilities is None else tuple(each.capabilities) for each in listed]
    for key in {*keys} - {None}:
        written[key] = json.dumps(ids_of(key, known))
    return [written[key] for key in keys]


async def insert_applied(session: AsyncSession, synced: CatalogSynced, applied: Applied) -> None:
    """Note that the run's listing has been applied."""
    counts = synced.model_dump(mode="json", exclude={"run_id", "supplier_id"})
    row = {"run_id": synced.run_id, "supplier_id": synced.supplier_id, "counts": counts, **asdict(applied)}
    await session.execute(sa.insert(applied_listings), [row])


async def all_applied(session: AsyncSession) -> list[dict[str, Any]]:
    """Answer what is noted of every listing that was applied."""
    return [dict(row) for row in (await session.execute(sa.select(applied_listings))).mappings()]


async def note_again(session: AsyncSession, noted: Sequence[Mapping[str, Any]]) -> None:
    """Note what `all_applied` answered, once more, of suppliers that are there."""
    there = set(await session.scalars(sa.select(suppliers.c.id)))
    if rows := [dict(each) for each in noted if each["supplier_id"] in there]:
        await (await session.connection()).execute(sa.insert(applied_listings), rows)


async def is_refused_first(session: AsyncSession, run_id: UUID, at: datetime) -> bool:
    """Note that the run's listing is refused; answer whether it was not before."""
    row = insert(refused_listings).values(run_id=run_id, refused_at=at).on_conflict_do_nothing()
    return await session.scalar(row.returning(refused_listings.c.run_id)) is not None


async def forget_settled(session: AsyncSession, *, before: datetime) -> None:
    """Forget listings applied or refused before that time, but keep the newest that each supplier had applied."""
    await session.execute(sa.delete(refused_listings).where(refused_listings.c.refused_at < before))
    newest = sa.select(sa.func.max(applied_listings.c.applied_at)).where(
        applied_listings.c.supplier_id == sa.literal_column("outer_listings.supplier_id")
    )
    outer = applied_listings.alias("outer_listings")
    old = sa.select(outer.c.run_id).where(outer.c.applied_at < before, outer.c.applied_at < newest.scalar_subquery())
    await session.execute(sa.delete(applied_listings).where(applied_listings.c.run_id.in_(old)))
