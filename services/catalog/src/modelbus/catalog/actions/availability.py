"""Settling: after any change, judge what it touches, save what flipped, and tell each thing once in its final state."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.telling import model_record, source_record
from modelbus.catalog.domain.availability import Reason, judge_model, judge_source
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
) -> None:
    """Judge the models and all their sources anew.

    Whatever is in `changed_*`, deleted things included, is told even if its availability stays. The models are
    locked first: two changes that each take one of a model's last two sources must not both see the other one
    still serving.
    """
    if not model_ids:
        return
    held = await models.lock_models(session, model_ids)
    offered = await sources.sources_of_models(session, model_ids, with_deleted=changed_sources)
    standings = await sources.standings(session, model_ids)
    now = datetime.now(UTC)
    judged = [_judged_source(source, judge_source(source, standings[source.id]), now) for source in offered]
    flipped = [new for old, new in zip(offered, judged, strict=True) if new != old]
    await sources.save_sources(session, flipped)
    previously = {source.id: source for source in offered}
    for source in judged:
        if source.id in changed_sources or source != previously[source.id]:
            await _tell_source(session, previously[source.id], source)
    await _settle_models(session, held, offered, judged, set(changed_models), now)


async def _settle_models(
    session: AsyncSession,
    held: dict[UUID, Model],
    before: list[Source],
    after: list[Source],
    changed: set[UUID],
    now: datetime,
) -> None:
    reasons: dict[UUID, list[Reason | None]] = defaultdict(list)
    for source in after:
        if source.deleted_at is not None:
            continue
        reasons[source.model_id].append(Reason(source.reason) if source.reason else None)
    served_by: dict[UUID, list[UUID]] = defaultdict(list)
    for source in before:
        if source.is_available:
            served_by[source.model_id].append(source.id)
    judged = [_judged_model(model, judge_model(model, reasons[model.id]), now) for model in held.values()]
    await models.save_models(session, [model for model in judged if model != held[model.id]])
    for model in judged:
        if model.deleted_at is not None and model.id in changed:
            await outbox.record(session, ModelChanged.gone(model.id))
        elif model.deleted_at is None and (model.id in changed or model != held[model.id]):
            await outbox.record(session, ModelChanged.to(model_record(model)))
        if model.is_available != held[model.id].is_available:
            await _tell_model(session, model, served_by[model.id])


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
