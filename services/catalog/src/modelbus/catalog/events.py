"""What the catalog hears."""

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.listings import apply_listing, refuse_listing
from modelbus.catalog.clients.sync import SyncClient
from modelbus.chassis.hearing import Heard, Hearing
from modelbus.contracts.bus import CATALOG_HEARS_SYNC
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
            await apply_listing(session, listing, heard.revision)

    return hearing
