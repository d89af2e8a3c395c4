"""The catalog's feed over HTTP, as a follower asks for it."""

from uuid import UUID

import httpx
import msgspec

from modelbus.contracts.feed import Changes, Head, Snapshot


class FeedUnusableError(Exception):
    """The catalog answered something that is no feed."""


class HistoryGoneError(Exception):
    """The changes that were asked for can't be had any more, or never were: take a snapshot."""


class FeedClient:
    """Asks for snapshot, changes and head; `http` has the catalog's URL and a token that opens the feed.

    Every call may raise httpx.HTTPError (the catalog is away) or FeedUnusableError.
    """

    def __init__(self, http: httpx.AsyncClient, kinds: frozenset[str]) -> None:
        self._http = http
        self._kinds = ",".join(sorted(kinds))

    async def snapshot(self) -> Snapshot:
        """Ask for every record of the kinds."""
        return _read(await self._http.get("/api/v1/snapshot", params={"kinds": self._kinds}), Snapshot)

    async def changes(self, after: int, epoch: UUID) -> Changes:
        """Ask for what follows a revision.

        Raises:
            HistoryGoneError: it is kept no longer, or the epoch is over.
        """
        answer = await self._http.get("/api/v1/changes", params={"after": after, "epoch": str(epoch)})
        if answer.status_code == httpx.codes.GONE:
            raise HistoryGoneError
        return _read(answer, Changes)

    async def head(self) -> Head:
        """Ask where the truth stands."""
        return _read(await self._http.get("/api/v1/head"), Head)


def _read[T](answer: httpx.Response, kind: type[T]) -> T:
    path = answer.request.url.path
    if answer.status_code != httpx.codes.OK:
        raise FeedUnusableError(f"{path} answered {answer.status_code}")
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise FeedUnusableError(f"{path} answered something else: {error}") from error
