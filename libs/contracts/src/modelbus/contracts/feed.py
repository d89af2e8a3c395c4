"""The feed: how anyone follows the catalog over HTTP, by snapshot, by delta and by head."""

from hashlib import blake2b
from uuid import UUID

import msgspec

DIGEST_BYTES = 16


class Head(msgspec.Struct, frozen=True):
    """Answer of `GET /api/v1/head`: where the truth stands, and a digest per kind of record at that revision."""

    epoch: UUID
    revision: int
    digests: dict[str, str]


class Snapshot(msgspec.Struct, frozen=True):
    """Answer of `GET /api/v1/snapshot`: every record at one revision, each as its own JSON text."""

    epoch: UUID
    revision: int
    digests: dict[str, str]
    records: dict[str, list[msgspec.Raw]]


class Change(msgspec.Struct, frozen=True):
    """One event of the CATALOG stream, as `GET /api/v1/changes` lists it."""

    revision: int
    type: str
    id: UUID
    """The event's own id, as in `ce-id`."""
    data: msgspec.Raw


class Changes(msgspec.Struct, frozen=True):
    """Answer of `GET /api/v1/changes?after=`: contiguous events in order, from `after + 1` on."""

    epoch: UUID
    revision: int
    """The head when it was read; ask again until you are there."""
    changes: list[Change]


class RecordChange(msgspec.Struct, frozen=True):
    """Body of a `<kind>.changed` event, with the record as its own JSON text."""

    id: UUID
    # `Raw | None` reads null only; the text of null stands for nothing.
    record: msgspec.Raw = msgspec.Raw(b"null")
    deleted: bool = False


def record_digest(kind: str, record_id: UUID, body: bytes | memoryview) -> int:
    """Digest one record; the digest of a kind is the sum of its records' modulo 2^128, so order does not matter."""
    hashed = blake2b(digest_size=DIGEST_BYTES)
    hashed.update(kind.encode())
    hashed.update(record_id.bytes)
    hashed.update(body)
    return int.from_bytes(hashed.digest(), "big")


def digest_text(total: int) -> str:
    """Answer the digest of a kind from the sum of its records' digests."""
    return f"{total % (1 << 8 * DIGEST_BYTES):0{2 * DIGEST_BYTES}x}"
