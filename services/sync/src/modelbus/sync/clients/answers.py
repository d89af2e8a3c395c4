"""One answer of a supplier: what its status and type mean, and how its body is read without being inflated whole."""

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import httpx
import msgspec

from modelbus.sync.domain.errors import (
    CredentialRefusedError,
    RateLimitedError,
    SupplierAwayError,
    UnusableAnswerError,
)
from modelbus.sync.domain.names import readable
from modelbus.sync.domain.validators import Validators

CREDENTIAL_REFUSALS = frozenset({401, 402, 403})
_GZIP = 16 + zlib.MAX_WBITS
_BEGINNING = 60
_LONGEST_VALIDATOR = 500
_DECLARED = ("total", "total_count", "totalCount", "count")
_ABOUT = ("meta", "pagination", "paging")


@dataclass(frozen=True, slots=True)
class Answer:
    """A body as it came, unpacked."""

    kind: str
    """Its type, as the supplier tells it."""
    body: bytes


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """A credential that the supplier did not accept."""

    credential_id: UUID
    generation: int
    status: int


@dataclass(slots=True)
class Delivery:
    """What has come of one listing so far, page by page."""

    answers: list[Answer] = field(default_factory=list)
    pages: int = 0
    size: int = 0
    """Bytes of all of them."""
    declared: int | None = None
    """How many models the supplier says there are, if it says so."""
    first: Validators = field(default_factory=Validators)
    refused: list[RefusedKey] = field(default_factory=list)
    """With which credentials it was asked in vain."""

    @property
    def validators(self) -> Validators:
        """Answer what the listing can be asked for by; of several pages the first vouches for none of the others."""
        return self.first if self.pages == 1 else Validators()

    def add(self, answer: Answer, headers: httpx.Headers) -> None:
        """Take one more answer."""
        if not self.pages:
            self.first = replace(validators_of(headers), body_digest=hashlib.sha256(answer.body).hexdigest())
        self.answers.append(answer)
        self.pages += 1
        self.size += len(answer.body)

    def begin(self) -> None:
        """Forget what came: it is asked for anew."""
        self.answers, self.pages, self.size, self.declared, self.first = [], 0, 0, None, Validators()

    def hand_over(self) -> list[Answer]:
        """Answer what came, and hold it no longer: a large listing need not be in memory twice."""
        answers, self.answers = self.answers, []
        return answers


def check_status(answer: httpx.Response) -> None:
    """Let an answer with a body pass.

    Raises:
        TransientError: asking again, or with another credential, may help.
        UnusableAnswerError: it would not.
    """
    status = answer.status_code
    if status == httpx.codes.OK:
        return
    if status in CREDENTIAL_REFUSALS:
        refused = CredentialRefusedError(f"answered {status} ({answer.reason_phrase})")
        refused.status = status
        raise refused
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise RateLimitedError(_retry_after_s(answer.headers.get("retry-after")))
    if answer.is_server_error:
        raise SupplierAwayError(f"answered {status} ({answer.reason_phrase})")
    raise UnusableAnswerError(f"answered {status} ({answer.reason_phrase})")


def check_type(kind: str) -> None:
    """Let JSON pass.

    Raises:
        UnusableAnswerError: it is something else.
    """
    refuse_html(kind)
    if kind and "json" not in kind.lower():
        raise UnusableAnswerError(f"answered something else ({readable(kind, 80)}) instead of JSON")


def refuse_html(kind: str) -> None:
    """Let anything but a page for people pass.

    Raises:
        UnusableAnswerError: it is one.
    """
    if "html" in kind.lower():
        raise UnusableAnswerError(f"answered HTML ({readable(kind, 80)}) instead of JSON")


async def unpacked(answer: httpx.Response, room: int) -> AsyncIterator[bytes]:
    """Read the body in pieces, not much more than `room` bytes of it; httpx's own decoding would inflate all at once.

    Raises:
        UnusableAnswerError: it is packed in a way that was not asked for, or badly.
    """
    unpack = _unpacking(answer.headers.get("content-encoding", ""))
    async for piece in answer.aiter_raw():
        try:
            read = piece[: room + 1] if unpack is None else unpack.decompress(piece, room + 1)
        except zlib.error as error:
            raise UnusableAnswerError(f"the body is not valid gzip: {error}") from error
        room -= len(read)
        yield read
        if room < 0:
            return
    if unpack is not None and not unpack.eof:
        raise UnusableAnswerError("the gzip body ends before its end")


async def parse_apart(body: bytes) -> Any:
    """Parse in a thread: megabytes of JSON must not hold up everything else in this process.

    Raises:
        UnusableAnswerError: it is no JSON.
    """
    return await asyncio.to_thread(parse, body)


def declared_count(document: Any) -> int | None:
    """Answer how many models there are in all by the supplier's own words; None where it says nothing of it."""
    if not isinstance(document, dict):
        return None
    tellers = [told for told in (document, *map(document.get, _ABOUT)) if isinstance(told, dict)]
    counts = (teller.get(key) for teller in tellers for key in _DECLARED)
    return next((count for count in counts if type(count) is int and count > 0), None)


def validators_of(headers: httpx.Headers) -> Validators:
    """Answer what tells this answer from a later one."""
    return Validators(_header(headers, "etag"), _header(headers, "last-modified"))


def _header(headers: httpx.Headers, name: str) -> str | None:
    given = headers.get(name, "").strip()
    # It is sent back as it came, so only what a header can carry is worth keeping.
    return given if given.isascii() and given.isprintable() and 0 < len(given) <= _LONGEST_VALIDATOR else None


def _unpacking(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return zlib.decompressobj(_GZIP)
    raise UnusableAnswerError(f"the body is encoded as {readable(encoding, 40)}, which was not asked for")


def _retry_after_s(given: str | None) -> float | None:
    """Read seconds or an HTTP date (RFC 9110, 10.2.3); None when it is neither."""
    if given is None:
        return None
    if given.isascii() and given.strip().isdigit():
        return float(given)
    try:
        return max(0.0, (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _fraction(text: str) -> Decimal | None:
    """Prices may be JSON numbers, which a float would change; null where the number is beyond any reason."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


_JSON = msgspec.json.Decoder(float_hook=_fraction)


def parse(body: bytes) -> Any:
    """Read JSON; fractions come as Decimal.

    Raises:
        UnusableAnswerError: it is none.
    """
    if not body.strip():
        raise UnusableAnswerError("the body is empty")
    try:
        return _JSON.decode(body)
    except (ValueError, RecursionError) as error:
        beginning = readable(body[:_BEGINNING].decode(errors="replace"))
        raise UnusableAnswerError(
            f"the body is not valid JSON ({readable(error, 120)}); it begins with {beginning}"
        ) from error
