"""Metadata files, from a URL or a path: only if they have changed, and within limits of size and time."""

import asyncio
import hashlib
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from modelbus.chassis.carrier import Carrier
from modelbus.sync.clients.answers import check_status, refuse_html, unpacked, validators_of
from modelbus.sync.clients.guard import GuardedTransport
from modelbus.sync.clients.redirects import MOST_REDIRECTS, target_of, too_many
from modelbus.sync.domain.errors import TransientError, UnusableAnswerError
from modelbus.sync.domain.names import readable
from modelbus.sync.domain.validators import Validators


@dataclass(frozen=True, slots=True)
class FileLimits:
    """How large a file may be, how long it may take, and whether it may be in a private network."""

    max_bytes: int
    connect_s: float
    deadline_s: float
    is_local: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file as it came."""

    body: bytes | None
    """None where it is the one that is known."""
    validators: Validators = field(default_factory=Validators)


class UnreadableFileError(Exception):
    """A metadata file can't be had; the text is fit for an administrator's eyes."""


class MetadataFiles:
    """Gets metadata files."""

    def __init__(self, limits: FileLimits, tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._tls = tls

    async def fetch(self, location: str, known: Validators) -> Fetched:
        """Get the file at a URL or a path, unless it is still the one with these validators.

        Raises:
            UnreadableFileError: it can't be had; says why.
        """
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                if "://" in location:
                    return await self._ask(location, known)
                return await asyncio.to_thread(self._open, Path(location), known)
        except TimeoutError as error:
            raise UnreadableFileError(f"it did not come within {self._limits.deadline_s:g} s") from error
        except (TransientError, UnusableAnswerError) as error:
            raise UnreadableFileError(str(error)) from error
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise UnreadableFileError(f"the URL can't be asked: {readable(error, 200)}") from error
        except httpx.TransportError as error:
            reason = readable(error, 200) or type(error).__name__
            raise UnreadableFileError(f"the connection failed: {reason}") from error

    async def _ask(self, url: str, known: Validators) -> Fetched:
        """Ask there, then wherever that sends us; the transport looks at every address on the way."""
        carrier = Carrier(verify=self._tls)
        client = httpx.AsyncClient(
            transport=GuardedTransport(carrier, is_local=self._limits.is_local),
            timeout=httpx.Timeout(self._limits.deadline_s, connect=self._limits.connect_s),
            trust_env=False,
        )
        headers = {"Accept": "application/json, */*;q=0.1", "Accept-Encoding": "gzip", **known.headers()}
        asked = httpx.URL(url)
        async with client:
            for _ in range(MOST_REDIRECTS + 1):
                async with client.stream("GET", asked, headers=headers) as answer:
                    if not answer.has_redirect_location:
                        return await self._take(answer, known)
                    # What is behind a redirect is not read: it may have no end.
                    asked = target_of(asked, answer)
        raise too_many(asked)

    async def _take(self, answer: httpx.Response, known: Validators) -> Fetched:
        if answer.status_code == httpx.codes.NOT_MODIFIED and known.headers():
            return Fetched(None, known)
        check_status(answer)
        refuse_html(answer.headers.get("content-type", ""))
        body = bytearray()
        async for piece in unpacked(answer, self._limits.max_bytes):
            body += piece
            self._refuse_large(len(body))
        return Fetched(bytes(body), validators_of(answer.headers))

    def _open(self, path: Path, known: Validators) -> Fetched:
        try:
            with path.open("rb") as file:
                body = file.read(self._limits.max_bytes + 1)
        except OSError as error:
            raise UnreadableFileError(f"{path} can't be read: {error.strerror or type(error).__name__}") from error
        self._refuse_large(len(body))
        # A file has no header to tell it from a later one by; its content does.
        found = Validators(etag=hashlib.sha256(body).hexdigest())
        return Fetched(None if found == known else body, found)

    def _refuse_large(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise UnreadableFileError(f"it is larger than {self._limits.max_bytes} bytes")
