"""The sync service, as the catalog reads listings from it."""

import httpx
from pydantic import ValidationError

from modelbus.catalog.domain.errors import ListingNotFetchableError
from modelbus.chassis.carrier import Carrier
from modelbus.chassis.tracing import tell_next
from modelbus.contracts.sync import Listing, ListingFetched

ASKED_WITHIN_S = 2.0


class SyncClient:
    """Redeems the claim checks that `listing.fetched` carries."""

    def __init__(self, base_url: str, service_token: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            transport=Carrier(),
            headers={"Authorization": f"Bearer {service_token}"},
            timeout=httpx.Timeout(30.0, connect=5.0),
            event_hooks={"request": [tell_next]},
        )

    async def fetch_listing(self, announced: ListingFetched) -> Listing | None:
        """Read the announced listing; None if sync no longer keeps it.

        Raises:
            httpx.TransportError, ConnectionError: sync is away, or says that something it needs is.
            ListingNotFetchableError: sync answered something else than the listing.
        """
        # Not from `listing_url`: whoever could tell an event would be shown our token.
        path = f"/api/v1/runs/{announced.run_id}/listing"
        answer = await self._client.get(path)
        if answer.is_server_error:
            raise ConnectionError(f"sync answered {answer.status_code} for {path}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise ListingNotFetchableError(f"sync answered {answer.status_code} for {path}")
        try:
            return Listing.model_validate_json(answer.content, extra="ignore")
        except ValidationError as error:
            raise ListingNotFetchableError(f"sync answered no listing: {error}") from error

    async def flavours(self) -> frozenset[str] | None:
        """Answer the flavours of listing that sync reads; None where it says nothing of use."""
        try:
            answer = await self._client.get("/api/v1/flavours", timeout=ASKED_WITHIN_S)
            answer.raise_for_status()
            return frozenset(answer.json()["items"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
