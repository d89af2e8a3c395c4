"""Sweeping: all that is known is compared with the catalog's own word, mended, judged, and what came of it is kept."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.database import allow_pauses
from modelbus.chassis.ids import new_id
from modelbus.contracts.feed import Snapshot
from modelbus.integrity.actions.findings import ALL_HOLDERS, judge
from modelbus.integrity.actions.index import read_snapshot
from modelbus.integrity.domain.index import Key, Mark, Telling
from modelbus.integrity.domain.known import Known
from modelbus.integrity.domain.sweeps import Drift, Drifted, Sweep, count, find_drift
from modelbus.integrity.store import index, known, references, sweeps

type Suspects = dict[Key, Mark | None]
"""What differed at a first look, with what we knew of it; None where we knew nothing."""


async def look(session: AsyncSession, snapshot: Snapshot) -> Suspects:
    """Answer what differs now. Some of it may only not have been heard yet.

    Raises:
        FeedUnusableError: a record of the snapshot does not parse.
    """
    marks = await known.list_marks(session)
    drifted = await _compare(session, marks, list(read_snapshot(snapshot)), snapshot.revision)
    return {key: marks.get(key) for key in drifted}


async def lock(session: AsyncSession) -> None:
    """Wait for our turn to change the index, until the commit."""
    await index.lock_head(session)


async def mend(
    session: AsyncSession, snapshot: Snapshot, suspects: Suspects, by: str | None, started_at: datetime
) -> Sweep:
    """Mend what has differed since the first look, judge everything, and keep the result; the caller has the lock.

    Raises:
        FeedUnusableError: a record of the snapshot does not parse.
    """
    await allow_pauses(session)
    marks = await known.list_marks(session)
    told = list(read_snapshot(snapshot))
    drifted = {
        key: drift
        for key, drift in (await _compare(session, marks, told, snapshot.revision)).items()
        if key in suspects and suspects[key] == marks.get(key)
    }
    await known.save(session, [each for each in told if each.key in drifted])
    await known.bury(session, [key for key, drift in drifted.items() if drift is Drift.SURPLUS])
    head = await index.read_head(session)
    moment = datetime.now(UTC)
    await judge(session, ALL_HOLDERS, Telling(head.revision, moment))
    opened, closed = await sweeps.count_findings(session, moment)
    sweep = Sweep(
        id=new_id(),
        asked_by=by,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        revision=snapshot.revision,
        checked=len(told),
        drift=count(drifted),
        opened=opened,
        closed=closed,
    )
    await sweeps.save(session, sweep)
    return sweep


async def is_night_due(session: AsyncSession) -> bool:
    """Tell whether the sweep of this night is still to be made; an index that is new begins with the next night."""
    swept_on = await sweeps.read_swept_on(session)
    return swept_on is not None and swept_on < datetime.now(UTC).date()


async def note_night(session: AsyncSession, *, is_first: bool = False) -> None:
    """Say that tonight's sweep is done; `is_first` says it of an index that is new."""
    await sweeps.save_swept_on(session, datetime.now(UTC).date(), is_first=is_first)


async def _compare(session: AsyncSession, marks: dict[Key, Mark], told: list[Known], limit: int) -> Drifted:
    return find_drift(marks, await references.list_all(session), told, limit)
