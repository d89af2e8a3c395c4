"""Loading the index anew from the catalog's snapshot, whole and in one transaction."""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.database import allow_pauses
from modelbus.contracts.feed import Snapshot
from modelbus.integrity.actions.findings import ALL_HOLDERS, judge
from modelbus.integrity.actions.records import FOLLOWED, read_record
from modelbus.integrity.domain.errors import FeedUnusableError
from modelbus.integrity.domain.index import IndexHead, Key, Standing, Telling
from modelbus.integrity.domain.known import Known
from modelbus.integrity.store import index, known


async def load_snapshot(session: AsyncSession, snapshot: Snapshot, told: Telling, *, keep_newer: bool) -> None:
    """Make the index equal to the snapshot and judge everything.

    With `keep_newer`, what was heard after the snapshot was taken stays as it is.

    Raises:
        FeedUnusableError: a kind is missing, which is not the same as empty, or a record does not parse.
    """
    await allow_pauses(session)
    before = await index.lock_head(session)
    if keep_newer and snapshot.revision < before.loaded_revision:
        return  # Another replica was quicker, with a newer one.
    await _take_over(session, snapshot, snapshot.revision if keep_newer else index.EVERYTHING)
    if not keep_newer:
        await known.lower_revisions(session, snapshot.revision)
    await index.save_head(
        session,
        IndexHead(
            epoch=snapshot.epoch,
            revision=max(before.revision, snapshot.revision) if keep_newer else snapshot.revision,
            loaded_revision=max(before.loaded_revision, snapshot.revision) if keep_newer else snapshot.revision,
        ),
    )
    await judge(session, ALL_HOLDERS, told)


async def read_standing(session: AsyncSession) -> Standing:
    """Read where the index stands."""
    return await index.read_standing(session, FOLLOWED)


async def judge_new_day(session: AsyncSession) -> None:
    """Judge everything if that was not done since the day began: retirements come nearer without any event."""
    if await index.read_judged_on(session) == datetime.now(UTC).date():
        return
    head = await index.lock_head(session)
    if head.is_loaded and await index.read_judged_on(session) != datetime.now(UTC).date():
        await judge(session, ALL_HOLDERS, Telling(head.revision, datetime.now(UTC)))


async def _take_over(session: AsyncSession, snapshot: Snapshot, limit: int) -> None:
    """Save what the snapshot changes among what is known as of the limit or earlier."""
    marks = await known.list_marks(session)
    told: set[Key] = set()
    news: list[Known] = []
    for each in read_snapshot(snapshot):
        told.add(each.key)
        mark = marks.get(each.key)
        if mark is None or (mark.revision <= limit and mark.digest != each.digest):
            news.append(each)
    await known.save(session, news)
    gone = [key for key, mark in marks.items() if mark.digest and key not in told and mark.revision <= limit]
    await known.bury(session, gone)


def read_snapshot(snapshot: Snapshot) -> Iterator[Known]:
    """Read the records that are followed.

    Raises:
        FeedUnusableError: a kind is missing, which is not the same as empty, or a record does not parse.
    """
    missing = FOLLOWED.keys() - snapshot.records.keys()
    if missing:
        raise FeedUnusableError(f"the snapshot holds no {', '.join(sorted(missing))} records")
    try:
        for kind, record in FOLLOWED.items():
            for raw in snapshot.records[kind]:
                text = bytes(raw)
                yield read_record(record.model_validate_json(text, extra="ignore"), text, snapshot.revision)
    except ValidationError as error:
        raise FeedUnusableError(f"a record of the snapshot does not parse: {error}") from error
