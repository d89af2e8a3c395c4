"""Learning what happened in the catalog, much at once, and judging whoever it touches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.records import Record
from modelbus.integrity.actions.findings import ALL_HOLDERS, judge
from modelbus.integrity.actions.records import read_record
from modelbus.integrity.domain.index import Key, Telling
from modelbus.integrity.domain.known import Known
from modelbus.integrity.store import facts, index, known, references

_NAMING_KINDS = ("capability", "supplier")
"""What these are called is evidence anywhere."""
_JUDGED_BY_ITSELF = ("model", "price")


@dataclass(frozen=True, slots=True)
class News:
    """What was told of one record."""

    told: Telling
    key: Key
    record: Record | None
    """None when it is deleted."""
    text: bytes = b""
    """The record as it was told, byte by byte."""


async def learn(session: AsyncSession, news: Sequence[News]) -> None:
    """Learn the new states; what is older than what is known changes nothing."""
    newest: dict[Key, News] = {}
    for each in sorted(news, key=lambda each: each.told.revision):
        newest[each.key] = each
    head = await index.take_turn(session, max(each.told.revision for each in news))
    newest = {key: each for key, each in newest.items() if each.told.revision > head.loaded_revision}
    before = {each.key: each for each in await known.list_known(session, newest)}
    after = [
        _learned(each, before.get(key))
        for key, each in newest.items()
        if key not in before or before[key].revision < each.told.revision
    ]
    if not after:
        return
    was_charging = await known.is_charging(session)
    await known.save(session, after)
    if head.is_loaded:
        is_flipped = was_charging != await known.is_charging(session)
        touched = ALL_HOLDERS if is_flipped else await _touched(session, before, after)
        latest = max((each.told for each in newest.values()), key=lambda told: told.revision)
        await judge(session, touched, latest)


def _learned(news: News, before: Known | None) -> Known:
    if news.record is not None:
        return read_record(news.record, news.text, news.told.revision)
    kind, record_id = news.key
    gone = before or Known(kind, record_id, news.told.revision, digest=0)
    return replace(gone, revision=news.told.revision, digest=0, record=None, is_active=False, references=())


async def _touched(session: AsyncSession, before: dict[Key, Known], after: Collection[Known]) -> Collection[Key] | None:
    """Answer the holders whose judgement may have changed; None for all."""
    holders: set[Key] = set()
    targets = set()
    for each in after:
        earlier = before.get(each.key)
        if each.kind in _NAMING_KINDS:
            if _called(earlier) != _called(each):
                return ALL_HOLDERS
        elif each.kind == "source":
            if not facts.are_same_target(earlier, each):
                targets |= {each.id} | {other.model_id for other in (earlier, each) if other and other.model_id}
        elif each.kind in _JUDGED_BY_ITSELF:
            holders.add(each.key)
            if not facts.are_same_target(earlier, each):
                targets.add(each.id)
        else:
            holders.add(each.key)
    holders |= {("model", target_id) for target_id in targets}
    return holders | set(await references.list_holders_of(session, targets))


def _called(named: Known | None) -> str | None:
    return None if named is None or named.record is None else named.name
