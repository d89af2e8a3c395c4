"""What sync hears: the catalog asks for listings, and tells what became of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.hearing import Heard, Hearing
from modelbus.contracts.bus import SYNC_HEARS_CATALOG, SYNC_HEARS_USAGE
from modelbus.contracts.catalog import CatalogSynced, ListingRefused, SyncRequested
from modelbus.contracts.usage import UsageRecorded
from modelbus.sync.actions import runs
from modelbus.sync.domain.runs import KEPT_FOR, Counts, Run


def hear_catalog(wake: asyncio.Event) -> Hearing:
    """Build the hearing; `wake` is set when there is a run to take up."""
    hearing = Hearing(SYNC_HEARS_CATALOG)

    @hearing.hear(SyncRequested)
    async def request_run(session: AsyncSession, heard: Heard[SyncRequested]) -> None:
        asked = heard.event
        if heard.envelope.time < datetime.now(UTC) - KEPT_FOR:
            return  # The stream is told again from its beginning: a run that is forgotten must not be made anew.
        run = Run(
            id=asked.run_id,
            supplier_id=asked.supplier_id,
            cause=asked.cause,
            requested_by=asked.requested_by,
            requested_at=heard.envelope.time,
            # The event may overtake the very credential that it is about, which comes by the feed.
            catalog_epoch=heard.envelope.epoch,
            catalog_revision=heard.revision,
        )
        await runs.request_run(session, run, wake)

    @hearing.hear(CatalogSynced)
    async def complete_run(session: AsyncSession, heard: Heard[CatalogSynced]) -> None:
        told = heard.event
        counts = Counts(told.added, told.changed, told.removed, told.held, told.unchanged)
        await runs.complete_run(session, told.run_id, counts, heard.envelope.time, heard.envelope.epoch)

    @hearing.hear(ListingRefused)
    async def refuse_run(session: AsyncSession, heard: Heard[ListingRefused]) -> None:
        await runs.refuse_run(session, heard.event.run_id, heard.event.reason, heard.envelope.time)

    return hearing


def hear_usage(note: Callable[[AsyncSession, Iterable[UsageRecorded]], Awaitable[None]]) -> Hearing:
    """Build the hearing of how routers fared."""
    hearing = Hearing(SYNC_HEARS_USAGE)

    @hearing.hear_together
    async def note_usage(session: AsyncSession, heard: Sequence[Heard[Any]]) -> None:
        await note(session, [each.event for each in heard])

    return hearing
