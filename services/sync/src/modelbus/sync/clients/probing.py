"""A look at a supplier that costs nothing: the head of its answer, whatever it would go on to say."""

import asyncio
import ssl
from collections.abc import Mapping
from time import monotonic

import httpx

from modelbus.chassis.carrier import Carrier
from modelbus.contracts.records import SupplierRecord
from modelbus.sync.clients.endpoint import Endpoint, Limits
from modelbus.sync.clients.flavours import Flavour
from modelbus.sync.clients.guard import GuardedTransport
from modelbus.sync.clients.suppliers import OpenCredential
from modelbus.sync.domain.errors import (
    AddressRefusedError,
    SupplierAwayError,
    TransientError,
    UnusableAnswerError,
)
from modelbus.sync.domain.names import readable
from modelbus.sync.domain.probes import Seen, Way


class Glancing:
    """Looks at suppliers, each on a connection of its own."""

    def __init__(self, limits: Limits, flavours: Mapping[str, Flavour], tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._flavours = flavours
        self._tls = tls

    async def glance(self, supplier: SupplierRecord, credential: OpenCredential | None) -> Seen:
        """Ask what the supplier's flavour asks for a listing, and leave when the answer begins."""
        began = monotonic()
        way, status, reason = Way.LISTING, None, None
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                way, status = await self._answer_of(supplier, credential)
        except (SupplierAwayError, AddressRefusedError) as error:
            reason = str(error)
        except TimeoutError:
            reason = f"no answer within {self._limits.deadline_s:g} s"
        return seen_of(way, status, reason, began)

    async def _answer_of(self, supplier: SupplierRecord, credential: OpenCredential | None) -> tuple[Way, int]:
        flavour = self._flavours.get(supplier.flavour)
        # A listing that is kept elsewhere tells nothing of where requests go.
        if flavour is not None and supplier.listing_url is None:
            status = await self._status_of_listing(flavour, supplier, credential)
            if status is not None:
                return Way.LISTING, status
        return Way.CONNECT, await self._status_of_head(supplier)

    async def _status_of_listing(
        self, flavour: Flavour, supplier: SupplierRecord, credential: OpenCredential | None
    ) -> int | None:
        """Answer the status that the listing begins with; None where there is nothing to ask for."""
        secret = None if credential is None else credential.secret
        try:
            async with self._client(supplier) as client:
                await flavour.list_models(Endpoint(client, supplier, secret, self._limits))
        except _GlancedError as glanced:
            return glanced.status
        except (SupplierAwayError, AddressRefusedError):
            raise
        except (TransientError, UnusableAnswerError):
            return None  # It was never asked: the flavour reads a file that nobody named, or no header takes the key.
        return None

    async def _status_of_head(self, supplier: SupplierRecord) -> int:
        try:
            async with self._client(supplier) as client:
                await client.head(supplier.base_url)
        except _GlancedError as glanced:
            return glanced.status
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise SupplierAwayError(why_away(error, self._limits)) from error
        raise AssertionError("a client that glances never gets an answer")

    def _client(self, supplier: SupplierRecord) -> httpx.AsyncClient:
        return guarded_client(supplier, self._limits, self._tls, is_glancing=True)


def guarded_client(
    supplier: SupplierRecord, limits: Limits, tls: ssl.SSLContext, *, is_glancing: bool = False
) -> httpx.AsyncClient:
    """Open a client that reaches the addresses that the supplier may have, and no others."""
    carrier: httpx.AsyncBaseTransport = Carrier(verify=tls)
    guarded: httpx.AsyncBaseTransport = GuardedTransport(carrier, is_local=supplier.is_local)
    return httpx.AsyncClient(
        transport=_GlancingTransport(guarded) if is_glancing else guarded,
        timeout=httpx.Timeout(limits.read_s, connect=limits.connect_s),
        follow_redirects=False,
        trust_env=False,
    )


def seen_of(way: Way, status: int | None, reason: str | None, began: float) -> Seen:
    """Say what a look showed; without a status it showed nothing but the reason."""
    took = int((monotonic() - began) * 1000)
    if status is None:
        return Seen(way, is_ok=False, latency_ms=took, reason=reason)
    is_refusal = status >= httpx.codes.BAD_REQUEST
    return Seen(way, status < httpx.codes.INTERNAL_SERVER_ERROR, took, f"answered {status}" if is_refusal else None)


def why_away(error: httpx.TransportError | httpx.InvalidURL, limits: Limits) -> str:
    """Say in our words why there is no answer."""
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {limits.connect_s:g} s"
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {limits.read_s:g} s"
    return f"the connection failed: {readable(error, 200) or type(error).__name__}"


class _GlancedError(Exception):
    """The answer has begun, and that is all we wanted; no error, but the only way out through a flavour."""

    def __init__(self, status: int) -> None:
        super().__init__(f"answered {status}")
        self.status = status


class _GlancingTransport(httpx.AsyncBaseTransport):
    """Hangs up on whoever answers."""

    def __init__(self, carrier: httpx.AsyncBaseTransport) -> None:
        self._carrier = carrier

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._carrier.handle_async_request(request)
        await answer.aclose()
        raise _GlancedError(answer.status_code)

    async def aclose(self) -> None:
        await self._carrier.aclose()
