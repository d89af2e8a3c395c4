"""Learning what happened to models and sources, and judging whoever depends on them."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.records import ModelRecord, SourceRecord
from modelbus.integrity.actions import records
from modelbus.integrity.actions.findings import judge_holders_of
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.store import targets
from modelbus.integrity.store.index import take_turn


async def learn_model(
    session: AsyncSession, told: Telling, model_id: UUID, record: ModelRecord | None, text: bytes
) -> None:
    """Learn a model's new state, or, without a record, that it is deleted; old news changes nothing."""
    head = await take_turn(session, told.revision)
    if head is None:
        return
    known = await targets.find_model(session, model_id)
    if known is not None and known.revision >= told.revision:
        return
    if record is None:
        model = records.deleted_model(model_id, known.name if known else None, told.revision)
    else:
        model = records.read_model(record, text, told.revision)
    await targets.save_models(session, [model])
    if head.is_loaded and (known is None or known.unavailable_because != model.unavailable_because):
        await judge_holders_of(session, model_id, told)


async def learn_source(
    session: AsyncSession, told: Telling, source_id: UUID, record: SourceRecord | None, text: bytes
) -> None:
    """Learn a source's new state, or, without a record, that it is deleted; old news changes nothing."""
    head = await take_turn(session, told.revision)
    if head is None:
        return
    known = await targets.find_source(session, source_id)
    if known is not None and known.revision >= told.revision:
        return
    if record is None:
        source = records.deleted_source(source_id, known, told.revision)
    else:
        source = records.read_source(record, text, told.revision)
    await targets.save_sources(session, [source])
    if head.is_loaded and (known is None or known.unavailable_because != source.unavailable_because):
        await judge_holders_of(session, source_id, told)


async def look_at_model(session: AsyncSession, told: Telling, model_id: UUID) -> None:
    """Judge whoever depends on a model that came or went; its state is what its record says, not the occasion."""
    head = await take_turn(session, told.revision)
    if head is not None and head.is_loaded:
        await judge_holders_of(session, model_id, told)
