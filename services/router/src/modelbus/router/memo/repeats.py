"""Requests that are sent twice under one `Idempotency-Key`: asked once, and answered alike for a while.

The later of two waits for the earlier. What failed leaves nothing, so that it can be tried again under the same key.
Follows https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/, in the memory of this process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from time import monotonic
from uuid import UUID

from modelbus.router.domain.errors import IdempotencyKeyMalformedError, IdempotencyKeyReusedError
from modelbus.router.journey.reply import Headers, Reply

KEPT_S = 600.0
MOST_BYTES = 32 * 1024 * 1024
LONGEST_KEY = 255
_OVERHEAD_BYTES = 1024
_LARGEST_PART = 8
_ABOUT_THIS_CALL = (b"x-modelbus-cache", b"age")


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose key it is, and the request that it stands for."""

    caller_id: UUID
    key: bytes
    digest: bytes

    @classmethod
    def of(cls, caller_id: UUID, key: bytes, *asked: bytes) -> "Claim":
        """Claim the key for what is asked.

        Raises:
            IdempotencyKeyMalformedError: it is none.
        """
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.decode("ascii").isprintable():
            raise IdempotencyKeyMalformedError(f"Idempotency-Key must be 1 to {LONGEST_KEY} printable ASCII characters")
        return cls(caller_id, key, sha256(b"\n".join(asked)).digest())


@dataclass(frozen=True, slots=True)
class _Kept:
    digest: bytes
    body: bytes
    headers: Headers
    given_at: float

    @property
    def size(self) -> int:
        return len(self.body) + _OVERHEAD_BYTES


class Repeats:
    """Keeps answers by caller and key, the oldest going first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._size = 0
        self._kept: dict[tuple[UUID, bytes], _Kept] = {}
        self._under_way: dict[tuple[UUID, bytes], tuple[bytes, asyncio.Event]] = {}

    async def once(self, claim: Claim, carry: Callable[[], Awaitable[Reply]]) -> tuple[Reply, bool]:
        """Answer what the request was answered before, or carry it now; and tell whether it was answered before.

        Raises:
            IdempotencyKeyReusedError: the key stands for another request.
            Refusal: as `carry` raises it.
        """
        place = (claim.caller_id, claim.key)
        while place in self._under_way:
            digest, over = self._under_way[place]
            _demand_same(claim, digest)
            await over.wait()
        if (kept := self._find(place)) is not None:
            _demand_same(claim, kept.digest)
            return Reply(HTTPStatus.OK, kept.body, [*kept.headers, (b"idempotency-replayed", b"true")]), True
        over = asyncio.Event()
        self._under_way[place] = (claim.digest, over)
        try:
            reply = await carry()
            self._keep(place, claim.digest, reply)
        finally:
            del self._under_way[place]
            over.set()
        return reply, False

    def _find(self, place: tuple[UUID, bytes]) -> _Kept | None:
        kept = self._kept.get(place)
        if kept is not None and monotonic() - kept.given_at >= KEPT_S:
            self._drop(place)
            return None
        return kept

    def _keep(self, place: tuple[UUID, bytes], digest: bytes, reply: Reply) -> None:
        if reply.status != HTTPStatus.OK or not isinstance(reply.body, bytes):
            return
        headers = [header for header in reply.headers if header[0] not in _ABOUT_THIS_CALL]
        kept = _Kept(digest, reply.body, headers, monotonic())
        if kept.size * _LARGEST_PART > self._most_bytes:
            return
        self._kept[place] = kept
        self._size += kept.size
        while self._size > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, place: tuple[UUID, bytes]) -> None:
        self._size -= self._kept.pop(place).size


def _demand_same(claim: Claim, digest: bytes) -> None:
    if claim.digest != digest:
        raise IdempotencyKeyReusedError("this Idempotency-Key was used for another request; take a new one")
