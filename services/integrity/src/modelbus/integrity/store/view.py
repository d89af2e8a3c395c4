"""What the rules see: references with all that is known of what they name."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.index import Key
from modelbus.integrity.domain.references import REPLACEMENT, HolderKind, Place
from modelbus.integrity.domain.targets import DELETED, Model, Rates, Source, TargetKind
from modelbus.integrity.store import facts, references
from modelbus.integrity.store.keys import among
from modelbus.integrity.store.references import Position, Row
from modelbus.integrity.store.tables import records


async def list_places(session: AsyncSession, holders: Collection[Key]) -> list[Place]:
    """List every place of some holders, holder by holder and in order."""
    return await see(session, await references.list_of(session, holders))


async def page_places_naming(
    session: AsyncSession, target_ids: Collection[UUID], limit: int, after: Position | None
) -> list[Place]:
    """List places that depend on any of the models or sources, in order of holder and place."""
    return await see(session, await references.page_naming(session, target_ids, limit, after))


async def list_available_models(session: AsyncSession, but: Collection[UUID]) -> list[Model]:
    """List the models that could serve now, but for some."""
    living = sa.select(records.c.id).where(records.c.kind == "model", records.c.record.is_not(None))
    ids = set((await session.scalars(living)).all())
    return [model for model in (await _models(session, ids - set(but))).values() if model.offers]


async def list_retiring(session: AsyncSession) -> tuple[dict[UUID, Model], list[Source]]:
    """List the sources whose day of retirement is known, and the models of those and of such a day."""
    is_dated = records.c.record.contains('"retires_at":"')
    sources = list((await _sources(session, is_dated)).values())
    dated = sa.select(records.c.id).where(records.c.kind == "model", is_dated)
    ids = set((await session.scalars(dated)).all()) | {source.model_id for source in sources}
    return await _models(session, ids), sources


async def list_sources_of_supplier(session: AsyncSession, supplier_id: UUID) -> list[UUID]:
    """List the sources of a supplier that are not deleted."""
    # Its id may stand anywhere in the text; only the decoder knows where.
    of_supplier = await _sources(session, records.c.record.contains(str(supplier_id), autoescape=True))
    return [source.id for source in of_supplier.values() if source.supplier_id == supplier_id]


async def see(session: AsyncSession, rows: Sequence[Row]) -> list[Place]:
    """Look up what references name, whether they are of the index or only proposed."""
    models = await _models(session, {reference.model_id for _, _, reference in rows})
    exact = {each.target_id for _, _, each in rows if each.target_kind is TargetKind.SOURCE}
    sources = {source.id: source for model in models.values() for source in model.sources}
    sources |= await _sources(session, among(records.c.id, exact - sources.keys()))
    rings = await _rings(session, {each.target_id for _, _, each in rows if each.place_key == REPLACEMENT})
    places = []
    for holder, ordinal, reference in rows:
        model = models.get(reference.model_id) or Model(reference.model_id, None, DELETED)
        source = None
        if reference.target_kind is TargetKind.SOURCE:
            source = sources.get(reference.target_id) or _gone(reference.target_id, reference.model_id)
        if holder.kind is HolderKind.PRICE:
            holder = replace(holder, name=model.name)  # noqa: PLW2901 - a price is called like its model
        if reference.place_key == REPLACEMENT and reference.target_id in rings:
            model = _in_ring(model, holder.id, rings[reference.target_id])
        places.append(Place(holder, ordinal, reference, model, source))
    return places


def _in_ring(model: Model, holder_id: UUID, path: Sequence[tuple[UUID, str]]) -> Model:
    """Say so where following the replacements comes back to the holder."""
    ids = [each for each, _ in path]
    if holder_id not in ids:
        return model
    return replace(model, ring=tuple(name for _, name in path[: ids.index(holder_id) + 1]))


async def _models(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Model]:
    of_kind = records.c.kind.in_(("model", "price"))
    query = sa.select(records.c.kind, records.c.id, records.c.name, records.c.record)
    rows = (await session.execute(query.where(of_kind, among(records.c.id, ids)))).all()
    charges = {
        row.id: facts.read_price(row.record).charge.rates() for row in rows if row.kind == "price" and row.record
    }
    capabilities = await _names(session, "capability")
    sources: dict[UUID, list[Source]] = {}
    for source in (await _sources(session, among(records.c.model_id, ids))).values():
        sources.setdefault(source.model_id, []).append(source)
    return {
        row.id: _model(row.id, row.name, row.record, charges.get(row.id), sources.get(row.id, ()), capabilities)
        for row in rows
        if row.kind == "model"
    }


def _model(
    model_id: UUID,
    name: str | None,
    record: str | None,
    charge: Rates | None,
    sources: Iterable[Source],
    capabilities: Mapping[UUID, str],
) -> Model:
    if record is None:
        return Model(model_id, name, DELETED, charge=charge)
    known = facts.read_model(record)
    can = (capabilities.get(each.capability_id) for each in known.capabilities)
    return Model(
        id=model_id,
        name=name,
        problem=known.problem,
        sources=tuple(sorted(sources, key=lambda source: source.id)),
        charge=charge,
        context_window=known.context_window,
        capabilities=frozenset(each for each in can if each is not None),
        retires_at=known.retires_at,
        model_type=known.model_type,
        replacement_id=known.replacement_model_id,
    )


async def _sources(session: AsyncSession, which: sa.ColumnElement[bool]) -> dict[UUID, Source]:
    query = sa.select(records.c.id, records.c.record).where(records.c.kind == "source", which)
    rows = (await session.execute(query.where(records.c.record.is_not(None)))).all()
    suppliers = await _names(session, "supplier") if rows else {}
    return {row.id: _source(row.id, facts.read_source(row.record), suppliers) for row in rows}


def _source(source_id: UUID, known: facts.SourceFacts, suppliers: Mapping[UUID, str]) -> Source:
    return Source(
        id=source_id,
        model_id=known.model_id,
        supplier_id=known.supplier_id,
        supplier_name=suppliers.get(known.supplier_id),
        problem=known.problem,
        cost=known.cost.rates(),
        features=known.features,
        retires_at=known.retires_at,
        health=known.health,
    )


def _gone(source_id: UUID, model_id: UUID) -> Source:
    return Source(source_id, model_id, supplier_id=source_id, supplier_name=None, problem=DELETED)


async def _names(session: AsyncSession, kind: str) -> dict[UUID, str]:
    named = sa.select(records.c.id, records.c.name).where(records.c.kind == kind, records.c.record.is_not(None))
    return {row.id: row.name for row in await session.execute(named)}


async def _rings(session: AsyncSession, starts: Collection[UUID]) -> dict[UUID, list[tuple[UUID, str]]]:
    """Follow the replacements from each start until they end or repeat."""
    links: dict[UUID, tuple[str, UUID | None]] = {}
    asked: Collection[UUID] = starts
    while asked:
        query = sa.select(records.c.id, records.c.record).where(records.c.kind == "model", among(records.c.id, asked))
        rows = (await session.execute(query.where(records.c.record.is_not(None)))).all()
        read = {row.id: facts.read_model(row.record) for row in rows}
        links |= {model_id: (each.name, each.replacement_model_id) for model_id, each in read.items()}
        asked = {each.replacement_model_id for each in read.values() if each.replacement_model_id} - links.keys()
    return {start: _follow(links, start) for start in starts}


def _follow(links: Mapping[UUID, tuple[str, UUID | None]], start: UUID) -> list[tuple[UUID, str]]:
    path: dict[UUID, str] = {}
    here: UUID | None = start
    while here is not None and here in links and here not in path:
        path[here], here = links[here]
    return list(path.items())
