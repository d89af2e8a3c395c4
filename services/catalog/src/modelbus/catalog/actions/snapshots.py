"""Snapshots as they are sent: made when somebody asks, once for all who ask, and dropped when the catalog moves on."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import batched

import msgspec

from modelbus.chassis.outbox import Head as Position
from modelbus.contracts.feed import Head

KEPT = 4
"""Different snapshots of a revision that are kept: by kinds, and compressed or not."""
ZIP_LEVEL = 5
GZIP = 16 + zlib.MAX_WBITS
JOINED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class View:
    """Records at one revision, held while the catalog moves on."""

    position: Position
    digests: dict[str, str]
    records: dict[str, list[bytes]]


type Look = Callable[[frozenset[str]], Awaitable[View]]


@dataclass(frozen=True, slots=True)
class Body:
    """A snapshot as it is sent."""

    position: Position
    content: bytes


class Snapshots:
    """The snapshots of the newest revision."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[frozenset[str], bool], Body] = {}
        self._turn = asyncio.Lock()

    async def get(self, kinds: frozenset[str], view: Look, *, newest: Position, is_zipped: bool) -> Body:
        """Answer a snapshot that is no older than `newest`; `view` shows the records as they are then.

        One is made at a time: whoever asks meanwhile waits, and takes the same if it is new enough for them.
        """
        async with self._turn:
            made = self._bodies.get((kinds, is_zipped))
            if made is not None and made.position.epoch == newest.epoch and made.position.revision >= newest.revision:
                return made
            seen = await view(kinds)
            content = await asyncio.to_thread(_zipped if is_zipped else b"".join, _pieces(seen))
            body = self._bodies[kinds, is_zipped] = Body(seen.position, content)
            while len(self._bodies) > KEPT:
                del self._bodies[next(iter(self._bodies))]
            return body

    def drop(self) -> None:
        """Forget them: the catalog has moved on."""
        self._bodies.clear()


def _pieces(view: View) -> Iterator[bytes]:
    """Write a `contracts.feed.Snapshot`, a piece at a time, so that memory need not hold it beside its records."""
    head = msgspec.json.encode(Head(view.position.epoch, view.position.revision, view.digests))
    yield head[:-1] + b',"records":{'
    for number, (kind, records) in enumerate(view.records.items()):
        yield b'%s"%s":[' % (b"," if number else b"", kind.encode())
        for place, some in enumerate(batched(records, JOINED_AT_ONCE)):
            yield (b"," if place else b"") + b",".join(some)
        yield b"]"
    yield b"}}"


def _zipped(pieces: Iterator[bytes]) -> bytes:
    packer = zlib.compressobj(ZIP_LEVEL, wbits=GZIP)
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])
