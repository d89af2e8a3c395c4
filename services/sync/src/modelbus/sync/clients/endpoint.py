"""One supplier's HTTP surface: JSON is read within limits of size and time, and whatever else comes is named."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from modelbus.contracts.records import SupplierRecord
from modelbus.sync.clients.answers import (
    CREDENTIAL_REFUSALS,
    Answer,
    Delivery,
    check_status,
    check_type,
    declared_count,
    parse_apart,
    refuse_html,
    unpacked,
)
from modelbus.sync.clients.redirects import MOST_REDIRECTS, place_of, target_of, too_many
from modelbus.sync.domain.errors import (
    CredentialRefusedError,
    ListingUnchangedError,
    SupplierAwayError,
    UnusableAnswerError,
)
from modelbus.sync.domain.names import readable
from modelbus.sync.domain.validators import Validators

_CONDITIONS = frozenset({"if-none-match", "if-modified-since"})


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

    def __init__(
        self,
        client: httpx.AsyncClient,
        supplier: SupplierRecord,
        secret: str | None,
        limits: Limits,
        *,
        known: Validators | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        self._client = client
        self._limits = limits
        self._known = known or Validators()
        self._delivery = delivery or Delivery()
        self.supplier = supplier
        # A listing that is kept elsewhere is no business of whoever keeps it there.
        is_elsewhere = supplier.listing_url is not None and not _is_same_origin(supplier.listing_url, supplier.base_url)
        self.secret = None if is_elsewhere else secret

    @property
    def declared(self) -> int | None:
        """Answer how many models there are by the supplier's own words; None where it says nothing of it."""
        return self._delivery.declared

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
            ListingUnchangedError: it is the listing that is known.
        """
        url = self.supplier.listing_url or (below or self.supplier.base_url) + path
        answer = await self._get(url, {"Accept": "application/json", **headers}, params or {}, check_type)
        document = await parse_apart(answer.body)
        self._delivery.declared = declared_count(document)
        return document

    async def get_file(self) -> tuple[str, bytes]:
        """Get the file that the supplier keeps its listing in; answer its type, as it is told, and what is in it.

        Raises:
            TransientError: asking again, or with another credential, may help.
            UnusableAnswerError: it would not, or the supplier has no such URL.
            ListingUnchangedError: it is the listing that is known.
        """
        if self.supplier.listing_url is None:
            raise UnusableAnswerError("the supplier has no listing_url, where its file would be")
        accepted = {"Accept": "application/json, text/csv, */*;q=0.1", **self.bearer()}
        answer = await self._get(self.supplier.listing_url, accepted, {}, refuse_html)
        return answer.kind, answer.body

    async def _get(
        self,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, str],
        check_type: Callable[[str], None],
    ) -> Answer:
        shown = {"Accept-Encoding": "gzip", **headers}
        # A page after the first comes only with the others, so what is known is asked for at the first alone.
        shown |= {} if self._delivery.pages else self._known.headers()
        try:
            return await self._follow(httpx.URL(url).copy_merge_params(params), shown, check_type)
        except httpx.TimeoutException as error:
            raise SupplierAwayError(self._timeout_reason(error)) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise UnusableAnswerError(f"the base URL can't be asked: {readable(error, 200)}") from error
        except httpx.TransportError as error:
            raise SupplierAwayError(f"the connection failed: {readable(error, 200) or type(error).__name__}") from error

    async def _follow(self, url: httpx.URL, shown: Mapping[str, str], check_type: Callable[[str], None]) -> Answer:
        """Ask there, then wherever that sends us; the guard of addresses looks at each place as at the first."""
        asked = url
        for _ in range(MOST_REDIRECTS + 1):
            is_elsewhere = not _is_same_origin(str(asked), str(url))
            headers = self._without_secret(shown) if is_elsewhere else shown
            async with self._client.stream("GET", asked, headers=headers) as answer:
                if not answer.has_redirect_location:
                    return await self._take(answer, check_type, is_elsewhere=is_elsewhere)
                asked = target_of(asked, answer)
        raise too_many(asked)

    async def _take(self, answer: httpx.Response, check_type: Callable[[str], None], *, is_elsewhere: bool) -> Answer:
        is_asked_for = not _CONDITIONS.isdisjoint(answer.request.headers)
        if answer.status_code == httpx.codes.NOT_MODIFIED and is_asked_for:
            raise ListingUnchangedError
        if is_elsewhere and self.secret is not None and answer.status_code in CREDENTIAL_REFUSALS:
            raise UnusableAnswerError(
                f"sent us to {place_of(answer.request.url)}, which answered {answer.status_code}; "
                "credentials are not shown to another server"
            )
        check_status(answer)
        kind = answer.headers.get("content-type", "")
        check_type(kind)
        taken = Answer(kind, await self._read(answer))
        await asyncio.to_thread(self._delivery.add, taken, answer.headers)
        if self._known.body_digest is not None and self._known.body_digest == self._delivery.validators.body_digest:
            raise ListingUnchangedError
        return taken

    async def _read(self, answer: httpx.Response) -> bytes:
        most = self._limits.max_bytes - self._delivery.size
        body = bytearray()
        async for piece in unpacked(answer, most):
            body += piece
            if len(body) > most:
                whole = "all pages together are" if self._delivery.size else "the body is"
                raise UnusableAnswerError(f"{whole} larger than {self._limits.max_bytes} bytes")
        return bytes(body)

    def _without_secret(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in headers.items() if self.secret is None or self.secret not in value}

    def _timeout_reason(self, error: httpx.TimeoutException) -> str:
        if isinstance(error, httpx.ConnectTimeout):
            return f"no connection within {self._limits.connect_s:g} s"
        return f"no answer within {self._limits.read_s:g} s"


def _is_same_origin(url: str, other: str) -> bool:
    first, second = urlsplit(url), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)
