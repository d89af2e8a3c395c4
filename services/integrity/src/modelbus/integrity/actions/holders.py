"""Learning what happened to chains, complexity routings and scopes, and judging them."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.actions import records
from modelbus.integrity.actions.findings import judge
from modelbus.integrity.actions.records import HolderRecord
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.store import holders
from modelbus.integrity.store.index import take_turn


async def learn_holder(
    session: AsyncSession, told: Telling, holder: tuple[HolderKind, UUID], record: HolderRecord | None, text: bytes
) -> None:
    """Learn a holder's new state, or, without a record, that it is deleted; old news changes nothing."""
    head = await take_turn(session, told.revision)
    if head is None:
        return
    kind, holder_id = holder
    known = await holders.find_naming(session, holder_id)
    if known is not None and known.revision >= told.revision:
        return
    if record is None:
        learned = records.deleted_holder(holder_id, kind, known.name if known else None, told.revision)
    else:
        learned = records.read_holder(record, text, told.revision)
    await holders.save_holders(session, [learned])
    if head.is_loaded:
        await judge(session, [holder_id], told)
