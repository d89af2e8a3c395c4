"""The bus connection: one FastStream broker a service, started in the background, reconnecting for ever."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from faststream.nats import NatsBroker
from faststream.nats.security import NatsSecurity, NatsUserPassword
from nats.aio.client import Client
from nats.errors import Error as NatsError

from modelbus.chassis.bus_access import BusAccess, BusTls, bus_access
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import pause_s
from modelbus.chassis.outages import distrust
from modelbus.chassis.settings import BusSettings
from modelbus.chassis.topology import Keeping
from modelbus.chassis.turns import read_in_turns
from modelbus.contracts.bus import MAX_PAYLOAD

PUBLISH_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 3.0
PING_INTERVAL_S = 5
PINGS_OUTSTANDING = 2
PENDING_BYTES = 8 * 1024 * 1024
VIOLATION = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"", re.IGNORECASE)

log = logger(__name__)


class PlainBusError(OSError):
    """The server speaks without TLS, and our settings demand it."""


class Bus:
    """A service's connection to NATS; absent NATS delays nothing but what needs it."""

    def __init__(self, url: str | BusAccess, *, service: str, keeping: Keeping = Keeping()) -> None:  # noqa: B008 - frozen
        access = bus_access(url) if isinstance(url, str) else url
        self.keeping = keeping
        """How a stream is kept that has to be made anew."""
        self.inbox_prefix = access.inbox_prefix
        self._needs_tls = access.needs_tls
        self._connected = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None
        self._reason = "no answer yet"
        self._is_away_told = False
        self.reconnects = 0
        self.refused: Counter[str] = Counter()
        """What the bus did not let us do: how often we were refused a `publish`, and how often a `subscription`."""
        self.broker = NatsBroker(
            list(access.servers),
            name=f"modelbus-{service}",
            security=_security(access),
            inbox_prefix=access.inbox_prefix,
            connect_timeout=2,
            # The client takes fractions of a second; the broker's annotation says int.
            reconnect_time_wait=0.2,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=PINGS_OUTSTANDING,
            pending_size=PENDING_BYTES,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_reconnect,
            # The client's own logger prints a traceback per attempt while NATS is away; our callbacks count instead.
            logger=None,
        )

    @classmethod
    def of(cls, settings: BusSettings, *, service: str) -> Self:
        """Answer the connection that the settings describe.

        Raises:
            ValueError: they contradict one another, or name a file that is none.
        """
        return cls(settings.access(), service=service, keeping=settings.keeping())

    def start(self) -> None:
        """Connect in the background and start every subscriber once connected."""
        self._starting = asyncio.create_task(self._connect(), name="bus")

    async def _connect(self) -> None:
        failures = 0
        while True:
            try:
                await self.broker.start()
                self._refuse_plain()
                self._warn_of_small_messages()
                read_in_turns(self._client)
            except (OSError, NatsError) as error:
                failures += 1
                self._note_away(error)
                with suppress(Exception):
                    await self.broker.stop()
                await asyncio.sleep(pause_s(failures))
            else:
                self._is_away_told = False
                log.info("bus is connected")
                self._connected.set()
                return

    def _refuse_plain(self) -> None:
        # The client takes the server's word for whether to use TLS.
        if self._needs_tls and not self.broker.connection._server_info.get("tls_required"):  # noqa: SLF001 - told nowhere else
            raise PlainBusError("the server does not use TLS, which MODELBUS_NATS_URL or another setting demands")

    def _warn_of_small_messages(self) -> None:
        takes = self._client.max_payload
        if takes < MAX_PAYLOAD:
            log.warning(
                "NATS takes smaller messages than may be told: set max_payload", takes=takes, needed=MAX_PAYLOAD
            )

    async def stop(self) -> None:
        """Stop the subscribers and close the connection; of a server that does not answer it is left open."""
        if self._starting is not None:
            self._starting.cancel()
            with suppress(asyncio.CancelledError):
                await self._starting
        closing = asyncio.create_task(self._close(), name="bus closes")
        # No timeout around it: the client catches being cancelled, and waits on.
        closed, _ = await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)
        for each in closed:
            each.result()

    async def _close(self) -> None:
        with suppress(NatsError, OSError, TimeoutError):
            await self.broker.stop()

    async def connected(self) -> Client:
        """Wait for the first connection and answer the client; later losses are its own business to mend."""
        await self._connected.wait()
        return self._client

    @property
    def _client(self) -> Client:
        client = self.broker.connection
        assert isinstance(client, Client)  # noqa: S101 - start() has returned
        return client

    @property
    def is_connected(self) -> bool:
        """Tell whether the bus can be reached now."""
        return self._connected.is_set() and bool(self.broker.connection.is_connected)

    async def problem(self) -> str | None:
        """Answer why the bus can't be used now; None when it can."""
        return None if self.is_connected else f"NATS is not connected: {self._reason}"

    async def publish(self, subject: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Tell on core NATS, to whoever listens now.

        Raises:
            nats.errors.Error: the bus is away.
        """
        client = await self.connected()
        await client.publish(subject, body, headers=dict(headers))

    async def _on_error(self, error: Exception) -> None:
        # Permission violations, slow consumers and why a lost connection stays away are told here and nowhere else.
        if found := VIOLATION.search(str(error)):
            operation, subject = found.groups()
            self.refused[operation.lower()] += 1
            log.error("bus refuses", operation=operation.lower(), subject=subject)
            return
        if not self.is_connected:
            self._note_away(error)
        elif not isinstance(error, (OSError, TimeoutError)):
            log.warning("bus reports an error", error=repr(error))

    async def _on_disconnect(self) -> None:
        if self._connected.is_set():
            self._reason = "the connection was lost"
        log.warning("bus connection lost")

    async def _on_reconnect(self) -> None:
        self.reconnects += 1
        self._is_away_told = False
        log.info("bus connection is back", reconnects=self.reconnects)

    def _note_away(self, error: Exception) -> None:
        """Keep for who asks why; the log has the first reason of each outage, as tries follow one another quickly."""
        self._reason = distrust(error) or f"{type(error).__name__}: {error}".rstrip(": ")
        if not self._is_away_told:
            self._is_away_told = True
            log.warning("bus is away", error=self._reason)


def _security(access: BusAccess) -> NatsSecurity | None:
    """Answer as whom the bus is entered, as the broker takes it."""
    tls = access.tls
    if access.user is not None:
        return NatsUserPassword(
            access.user, access.password or "", ssl_context=tls.context(), tls_handshake_first=tls.is_first
        )
    if tls == BusTls():
        return None
    return NatsSecurity(ssl_context=tls.context(), tls_handshake_first=tls.is_first)
