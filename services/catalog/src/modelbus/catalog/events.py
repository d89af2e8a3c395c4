"""What the catalog hears; of usage as much at once as waits."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.health import note_health
from modelbus.catalog.actions.listings import apply_listing, refuse_listing
from modelbus.catalog.actions.popularity import count_usage
from modelbus.catalog.actions.refusals import hear_cooling, hear_rejection, note_acceptance
from modelbus.catalog.actions.uses import note_uses
from modelbus.catalog.clients.sync import SyncClient
from modelbus.chassis.hearing import Heard, Hearing
from modelbus.contracts.bus import CATALOG_HEARS_HEALTH, CATALOG_HEARS_SYNC, CATALOG_HEARS_USAGE
from modelbus.contracts.credentials import CredentialCooled, CredentialRejected
from modelbus.contracts.health import SourceHealthChanged
from modelbus.contracts.sync import ListingFetched


def listen(sync: SyncClient) -> Hearing:
    """Build the hearing of the SYNC stream."""
    hearing = Hearing(CATALOG_HEARS_SYNC)

    @hearing.hear(ListingFetched)
    async def read_listing(session: AsyncSession, heard: Heard[ListingFetched]) -> None:
        # Read over HTTP before the first statement, so that no lock waits for the network.
        listing = await sync.fetch_listing(heard.event)
        if listing is None:
            event = heard.event
            await refuse_listing(session, event.run_id, event.supplier_id, "sync no longer keeps the listing")
        else:
            await apply_listing(session, listing, heard.revision, heard.envelope.epoch)

    return hearing


def listen_to_usage() -> Hearing:
    """Build the hearing of the USAGE stream."""
    hearing = Hearing(CATALOG_HEARS_USAGE)

    @hearing.hear_together
    async def hear_usage(session: AsyncSession, heard: Sequence[Heard[Any]]) -> None:
        told = [each.event for each in heard]
        await note_acceptance(session, told)
        await note_uses(session, told)
        await count_usage(session, heard)

    return hearing


def listen_to_health() -> Hearing:
    """Build the hearing of the HEALTH stream."""
    hearing = Hearing(CATALOG_HEARS_HEALTH)

    @hearing.hear(SourceHealthChanged)
    async def hear_health(session: AsyncSession, heard: Heard[SourceHealthChanged]) -> None:
        await note_health(session, heard.event)

    @hearing.hear(CredentialRejected)
    async def read_rejection(session: AsyncSession, heard: Heard[CredentialRejected]) -> None:
        await hear_rejection(session, heard.event)

    @hearing.hear(CredentialCooled)
    async def read_cooling(session: AsyncSession, heard: Heard[CredentialCooled]) -> None:
        await hear_cooling(session, heard.event)

    return hearing
