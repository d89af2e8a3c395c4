"""What integrity hears: every change of what refers and is referred to, and usage; as much at once as waits."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.hearing import Heard, Hearing
from modelbus.contracts.bus import INTEGRITY_HEARS_CATALOG, INTEGRITY_HEARS_USAGE
from modelbus.contracts.catalog import CatalogReset, RecordChanged
from modelbus.contracts.event import Event
from modelbus.contracts.feed import RecordChange
from modelbus.integrity.actions.learning import News, learn
from modelbus.integrity.actions.skips import note_skips
from modelbus.integrity.actions.usage import count_usage
from modelbus.integrity.domain.errors import UnnumberedEventError
from modelbus.integrity.domain.index import Telling

LATE_S = 1.0
"""An event older than that says that we are behind."""


def build_hearing(on_reset: Callable[[], None], on_late: Callable[[int], None]) -> Hearing:
    """Answer the hearing of the CATALOG stream.

    `on_reset` is called when the catalog's numbering started anew, `on_late` with the revision of an event that
    was told long ago: one snapshot brings us up to date sooner than the queue in front of us.
    """
    hearing = Hearing(INTEGRITY_HEARS_CATALOG)

    @hearing.hear_together
    async def catalog_changed(session: AsyncSession, heard: Sequence[Heard[Any]]) -> None:
        news = [_news(each) for each in heard if isinstance(each.event, RecordChanged)]
        if news:
            await learn(session, news)
        if any(isinstance(each.event, CatalogReset) for each in heard):
            # Nothing to write: should this replica die now, every look compares epochs and finds the same.
            on_reset()
        oldest = min(each.envelope.time for each in heard)
        if (datetime.now(UTC) - oldest).total_seconds() > LATE_S:
            on_late(max(each.revision for each in heard))

    return hearing


def listen_to_usage() -> Hearing:
    """Answer the hearing of the USAGE stream."""
    hearing = Hearing(INTEGRITY_HEARS_USAGE)

    @hearing.hear_together
    async def usage_recorded(session: AsyncSession, heard: Sequence[Heard[Any]]) -> None:
        await note_skips(session, await count_usage(session, heard))

    return hearing


def _news(heard: Heard[RecordChanged[Any]]) -> News:
    kind = heard.event.type.removesuffix(".changed")
    return News(_telling(heard), (kind, heard.event.id), heard.event.record, _record_text(heard))


def _telling(heard: Heard[Any]) -> Telling:
    if heard.envelope.revision is None:
        raise UnnumberedEventError(f"{heard.envelope.type} {heard.envelope.id} bears no revision")
    return Telling(heard.envelope.revision, heard.envelope.time)


def _record_text(heard: Heard[Event]) -> bytes:
    """Cut the record out of the body as it stands: the feed's digests are over these bytes."""
    return bytes(msgspec.json.decode(heard.envelope.data, type=RecordChange).record)
