"""How batches are written in the spool: compressed, as lines of text, so that an hour of usage fits on a small disk.

A line is `<crc32> <event id> <time> <body>`; the body is JSON as it is, or compressed and in base 64. What an earlier
version wrote is JSON, which begins with a brace.
"""

import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

# Level 1 takes a millisecond for 200 requests, and leaves an eighth; higher levels take twice the time for little.
_LEVEL = 1
_SHORT = 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """One event to be published."""

    id: UUID
    time: datetime
    body: bytes


def line_of(batch: Batch) -> bytes:
    """Write the batch as a line."""
    body = batch.body if len(batch.body) < _SHORT else b64encode(zlib.compress(batch.body, _LEVEL))
    rest = b" ".join((str(batch.id).encode(), batch.time.isoformat().encode(), body))
    return b"%08x %b\n" % (zlib.crc32(rest), rest)


def batch_of(line: bytes) -> Batch | None:
    """Read a line; None if its checksum does not fit, which was never acknowledged to anyone."""
    checksum, _, rest = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(rest) or not line.endswith(b"\n"):
        return None
    try:
        record_id, time, body = rest.split(b" ", 2)
        is_json = body.startswith((b"{", b'"'))
        whole = body if is_json else zlib.decompress(b64decode(body, validate=True))
        return Batch(UUID(record_id.decode()), datetime.fromisoformat(time.decode()), whole)
    except (ValueError, zlib.error):
        return None
