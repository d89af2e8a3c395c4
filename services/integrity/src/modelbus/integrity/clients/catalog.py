"""The catalog's feed over HTTP: where the truth stands, and all of it."""

from collections.abc import Iterable

import httpx
import msgspec

from modelbus.contracts.feed import Head, Snapshot
from modelbus.integrity.domain.errors import FeedUnusableError


class Catalog:
    """The catalog, asked with a client whose base URL and token open the feed.

    Every method raises httpx.TransportError while the catalog is away, and FeedUnusableError when it answers
    something else than the feed.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def head(self) -> Head:
        """Ask where the truth stands."""
        return _read(await self._client.get("/api/v1/head"), Head)

    async def snapshot(self, kinds: Iterable[str]) -> Snapshot:
        """Ask for every record of some kinds."""
        return _read(await self._client.get("/api/v1/snapshot", params={"kinds": ",".join(kinds)}), Snapshot)


def _read[T](answer: httpx.Response, shape: type[T]) -> T:
    if answer.status_code != httpx.codes.OK:
        raise FeedUnusableError(f"{answer.request.url.path} answered {answer.status_code}")
    try:
        return msgspec.json.decode(answer.content, type=shape)
    except msgspec.DecodeError as error:
        raise FeedUnusableError(f"{answer.request.url.path} answered no feed: {error}") from error
