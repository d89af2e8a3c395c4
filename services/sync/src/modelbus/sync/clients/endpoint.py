"""One supplier's HTTP surface: JSON is read within limits of size and time, and whatever else comes is named."""

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from modelbus.contracts.records import SupplierRecord
from modelbus.sync.domain.errors import (
    CredentialRefusedError,
    RateLimitedError,
    SupplierAwayError,
    UnusableAnswerError,
)
from modelbus.sync.domain.names import readable

CREDENTIAL_REFUSALS = frozenset({401, 402, 403})
_GZIP = 16 + zlib.MAX_WBITS
_BEGINNING = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """How much, and how long, a supplier may answer."""

    max_bytes: int
    """Of all pages of one listing together, after decompression."""
    connect_s: float
    read_s: float
    """Between two pieces of an answer."""
    deadline_s: float
    """For everything together, repeated tries and pauses included."""
    tries: int
    first_pause_s: float
    """Before the second try; doubles from there on."""


class Endpoint:
    """A supplier as one credential sees it; what an adapter asks through, for one listing however many its pages."""

    def __init__(self, client: httpx.AsyncClient, supplier: SupplierRecord, secret: str | None, limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._read_so_far = 0
        self.supplier = supplier
        # A listing that is kept elsewhere is no business of whoever keeps it there.
        is_elsewhere = supplier.listing_url is not None and not _is_same_origin(supplier.listing_url, supplier.base_url)
        self.secret = None if is_elsewhere else secret

    def key_header(self, name: str, scheme: str = "") -> dict[str, str]:
        """Answer the header that shows the credential; empty without one.

        Raises:
            CredentialRefusedError: no header can carry it.
        """
        if self.secret is None:
            return {}
        # Refused here: the HTTP library would quote the secret in its own complaint.
        if not (self.secret.isascii() and self.secret.isprintable()):
            raise CredentialRefusedError("it holds characters that can't be sent")
        return {name: f"{scheme} {self.secret}".lstrip()}

    def bearer(self) -> dict[str, str]:
        """Answer the header that most suppliers read the credential from.

        Raises:
            CredentialRefusedError: no header can carry it.
        """
        return self.key_header("Authorization", "Bearer")

    async def get_json(
        self,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        below: str | None = None,
    ) -> Any:
        """Get JSON from where the supplier keeps its listing, else from a path below the base URL, or below that one.

        Fractions come as Decimal.

        Raises:
            TransientError: asking again, or with another credential, may help.
            UnusableAnswerError: it would not.
        """
        url = self.supplier.listing_url or (below or self.supplier.base_url) + path
        _, body = await self._get(url, {"Accept": "application/json", **headers}, params or {}, _check_type)
        # Megabytes of JSON must not hold up everything else in this process.
        return await asyncio.to_thread(parse, body)

    async def get_file(self) -> tuple[str, bytes]:
        """Get the file that the supplier keeps its listing in; answer its type, as it is told, and what is in it.

        Raises:
            TransientError: asking again, or with another credential, may help.
            UnusableAnswerError: it would not, or the supplier has no such URL.
        """
        if self.supplier.listing_url is None:
            raise UnusableAnswerError("the supplier has no listing_url, where its file would be")
        accepted = {"Accept": "application/json, text/csv, */*;q=0.1", **self.bearer()}
        return await self._get(self.supplier.listing_url, accepted, {}, _refuse_html)

    async def _get(
        self,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, str],
        check_type: Callable[[str], None],
    ) -> tuple[str, bytes]:
        try:
            asked = httpx.URL(url).copy_merge_params(params)
            shown = {"Accept-Encoding": "gzip", **headers}
            async with self._client.stream("GET", asked, headers=shown) as answer:
                _check_status(answer)
                kind = answer.headers.get("content-type", "")
                check_type(kind)
                return kind, await self._read(answer)
        except httpx.TimeoutException as error:
            raise SupplierAwayError(self._timeout_reason(error)) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise UnusableAnswerError(f"the base URL can't be asked: {readable(error, 200)}") from error
        except httpx.TransportError as error:
            raise SupplierAwayError(f"the connection failed: {readable(error, 200) or type(error).__name__}") from error

    async def _read(self, answer: httpx.Response) -> bytes:
        """Read the body; httpx's own decoding would inflate a whole piece at once, whatever comes of it."""
        most = self._limits.max_bytes - self._read_so_far
        unpack = _unpacking(answer.headers.get("content-encoding", ""))
        body = bytearray()
        async for piece in answer.aiter_raw():
            room = most - len(body) + 1
            try:
                body += piece[:room] if unpack is None else unpack.decompress(piece, room)
            except zlib.error as error:
                raise UnusableAnswerError(f"the body is not valid gzip: {error}") from error
            if len(body) > most:
                whole = "all pages together are" if self._read_so_far else "the body is"
                raise UnusableAnswerError(f"{whole} larger than {self._limits.max_bytes} bytes")
        if unpack is not None and not unpack.eof:
            raise UnusableAnswerError("the gzip body ends before its end")
        self._read_so_far += len(body)
        return bytes(body)

    def _timeout_reason(self, error: httpx.TimeoutException) -> str:
        if isinstance(error, httpx.ConnectTimeout):
            return f"no connection within {self._limits.connect_s:g} s"
        return f"no answer within {self._limits.read_s:g} s"


def _check_status(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == httpx.codes.OK:
        return
    if status in CREDENTIAL_REFUSALS:
        raise CredentialRefusedError(f"answered {status} ({answer.reason_phrase})")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise RateLimitedError(_retry_after_s(answer.headers.get("retry-after")))
    if answer.is_server_error:
        raise SupplierAwayError(f"answered {status} ({answer.reason_phrase})")
    if answer.is_redirect:
        target = readable(answer.headers.get("location", ""), 200)
        raise UnusableAnswerError(f"answered {status}, a redirect to {target}; redirects are not followed")
    raise UnusableAnswerError(f"answered {status} ({answer.reason_phrase})")


def _check_type(kind: str) -> None:
    _refuse_html(kind)
    if kind and "json" not in kind.lower():
        raise UnusableAnswerError(f"answered something else ({readable(kind, 80)}) instead of JSON")


def _refuse_html(kind: str) -> None:
    if "html" in kind.lower():
        raise UnusableAnswerError(f"answered HTML ({readable(kind, 80)}) instead of JSON")


def _is_same_origin(url: str, other: str) -> bool:
    first, second = urlsplit(url), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)


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
