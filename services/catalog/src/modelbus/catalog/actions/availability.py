"""Settling: after any change, judge what it touches, save what flipped, and tell each thing once in its final state."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.tagging import tag_by_own_rules
from modelbus.catalog.actions.telling import model_record, source_record
from modelbus.catalog.domain.availability import Reason, Standing, judge_model, judge_source
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.sources import Source
from modelbus.catalog.store import models, sources
from modelbus.chassis import outbox
from modelbus.contracts.catalog import (
    ModelAvailable,
    ModelChanged,
    ModelUnavailable,
    SourceAvailable,
    SourceChanged,
    SourceUnavailable,
)


async def settle_supplier(session: AsyncSession, supplier_id: UUID) -> None:
    """Settle every model that the supplier offers; the caller holds the supplier's lock."""
    offered = await sources.sources_of_supplier(session, supplier_id)
    await settle(session, {source.model_id for source in offered})


async def settle(
    session: AsyncSession,
    model_ids: Collection[UUID],
    *,
    changed_models: Collection[UUID] = (),
    changed_sources: Collection[UUID] = (),
    unsaved_models: Collection[Model] = (),
    unsaved_sources: Collection[Source] = (),
) -> None:
    """Judge the models and all their sources anew.

    Whatever is in `changed_*`, deleted things included, is told even if its availability stays. What is new or
    changed and `unsaved_*` is told too, and written here, judged, so that each row is written once; `model_ids` need
    not name a model that is new. The models are locked first: two changes that each take one of a model's last two
    sources must not both see the other one still serving.
    """
    if not model_ids and not unsaved_models:
        return
    held = await models.lock_models(session, model_ids) if model_ids else {}
    offered = await _offered(session, model_ids, {*changed_sources, *(source.id for source in unsaved_sources)})
    before = _Stock({**_by_id(unsaved_models), **held}, {**_by_id(unsaved_sources), **offered})
    drafts = _Stock({**held, **_by_id(unsaved_models)}, {**offered, **_by_id(unsaved_sources)})
    standings = await sources.standings(session, {source.supplier_id for source in drafts.sources.values()})
    after = _judged(drafts, standings, datetime.now(UTC))
    after = replace(after, models=await tag_by_own_rules(session, after.models))
    await models.insert_models(session, [model for key, model in after.models.items() if key not in held])
    await models.save_models(session, [m for key, m in after.models.items() if key in held and m != held[key]])
    await sources.insert_sources(session, [source for key, source in after.sources.items() if key not in offered])
    await sources.save_sources(session, [s for key, s in after.sources.items() if key in offered and s != offered[key]])
    await _tell_sources(session, before, after, {*changed_sources, *(source.id for source in unsaved_sources)})
    await _tell_models(session, before, after, {*changed_models, *(model.id for model in unsaved_models)})


async def settle_models(session: AsyncSession, held: Mapping[UUID, Model], drafts: Collection[Model]) -> list[Model]:
    """Judge, write and tell models that were changed themselves, and whose sources stay as they are.

    `held` are the models as they are locked, `drafts` what becomes of them. Who holds a model keeps its sources from
    being judged otherwise, so their last verdicts hold, and however many there are they need not be read.
    """
    now = datetime.now(UTC)
    reasons = await sources.verdicts_of_models(session, [draft.id for draft in drafts])
    judged = {each.id: _judged_model(each, judge_model(each, reasons.get(each.id, []), now), now) for each in drafts}
    settled = list((await tag_by_own_rules(session, judged)).values())
    changed = [model for model in settled if model != held[model.id]]
    await models.save_models(session, changed)
    gone = [model.id for model in changed if held[model.id].is_available and not model.is_available]
    served_by = await sources.available_of_models(session, gone) if gone else {}
    for model in changed:
        before, after = model_record(held[model.id]), model_record(model)
        if after != before:
            await outbox.record(session, ModelChanged.to(after))
        if after.is_available != before.is_available:
            await _tell_model(session, model, served_by.get(model.id, []))
    return settled


@dataclass(frozen=True, slots=True)
class _Stock:
    """Models with all their sources."""

    models: dict[UUID, Model]
    sources: dict[UUID, Source]


def _by_id[T: (Model, Source)](things: Collection[T]) -> dict[UUID, T]:
    return {thing.id: thing for thing in things}


async def _offered(session: AsyncSession, model_ids: Collection[UUID], named: Collection[UUID]) -> dict[UUID, Source]:
    if not model_ids:
        return {}
    return _by_id(await sources.sources_of_models(session, model_ids, with_deleted=named))


def _judged(drafts: _Stock, standings: Mapping[UUID, Standing], now: datetime) -> _Stock:
    judged: dict[UUID, Source] = {}
    reasons: dict[UUID, list[Reason | None]] = defaultdict(list)
    # The preferred source comes first, whose reason speaks for the model.
    for source in sorted(drafts.sources.values(), key=attrgetter("priority", "id")):
        is_model_deleted = drafts.models[source.model_id].deleted_at is not None
        reason = judge_source(source, standings[source.supplier_id], now, is_model_deleted=is_model_deleted)
        judged[source.id] = _judged_source(source, reason, now)
        if source.deleted_at is None:
            reasons[source.model_id].append(reason)
    verdicts = {key: judge_model(model, reasons[key], now) for key, model in drafts.models.items()}
    return _Stock({key: _judged_model(drafts.models[key], verdict, now) for key, verdict in verdicts.items()}, judged)


async def _tell_sources(session: AsyncSession, before: _Stock, after: _Stock, changed: Collection[UUID]) -> None:
    for source in after.sources.values():
        if source.id in changed or source != before.sources[source.id]:
            await _tell_source(session, before.sources[source.id], source)


async def _tell_models(session: AsyncSession, before: _Stock, after: _Stock, changed: Collection[UUID]) -> None:
    served_by: dict[UUID, list[UUID]] = defaultdict(list)
    for key in after.sources:
        if before.sources[key].is_available:
            served_by[before.sources[key].model_id].append(key)
    for model in after.models.values():
        old = before.models[model.id]
        if model.deleted_at is not None and model.id in changed:
            await outbox.record(session, ModelChanged.gone(model.id))
        elif model.deleted_at is None and (model.id in changed or _is_seen_otherwise(old, model)):
            await outbox.record(session, ModelChanged.to(model_record(model)))
        if model.is_available != old.is_available:
            await _tell_model(session, model, served_by[model.id])


def _is_seen_otherwise(before: Model, after: Model) -> bool:
    # A tag that a rule gives, and somebody has given or taken away by hand, changes nothing that anyone sees.
    return after != before and model_record(after) != model_record(before)


async def _tell_source(session: AsyncSession, before: Source, after: Source) -> None:
    is_gone = after.deleted_at is not None
    change = SourceChanged.gone(after.id) if is_gone else SourceChanged.to(source_record(after))
    await outbox.record(session, change)
    told = {"source_id": after.id, "model_id": after.model_id, "supplier_id": after.supplier_id}
    if after.is_available and not before.is_available:
        await outbox.record(session, SourceAvailable(**told))
    elif before.is_available and not after.is_available:
        await outbox.record(session, SourceUnavailable(**told, reason=after.reason or Reason.DELETED))


async def _tell_model(session: AsyncSession, model: Model, served_by: list[UUID]) -> None:
    if model.is_available:
        await outbox.record(session, ModelAvailable(model_id=model.id, name=model.name, since=model.since))
        return
    gone = ModelUnavailable(
        model_id=model.id,
        name=model.name,
        reason=model.reason or Reason.NO_SOURCE,
        since=model.since,
        previous_source_ids=served_by,
    )
    await outbox.record(session, gone)


def _judged_source(source: Source, reason: Reason | None, now: datetime) -> Source:
    if (source.is_available, source.reason) == (reason is None, reason):
        return source
    since = source.since if source.is_available == (reason is None) else now
    return replace(source, is_available=reason is None, reason=reason, since=since)


def _judged_model(model: Model, reason: Reason | None, now: datetime) -> Model:
    if (model.is_available, model.reason) == (reason is None, reason):
        return model
    since = model.since if model.is_available == (reason is None) else now
    return replace(model, is_available=reason is None, reason=reason, since=since)
