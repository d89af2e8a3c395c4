"""One connection to a supplier: exchanges one after another, each held to its deadlines by one timer."""

import asyncio
from collections.abc import Callable
from typing import cast

from modelbus.router.domain.errors import LostError, TimedOutError
from modelbus.router.upstream.exchange import PAUSE_AT, Exchange

type Free = Callable[["Connection"], None]
"""Told once when an exchange is over: the connection is open if it may be used again."""


class Connection(asyncio.Protocol):
    """A connection that outlives its exchanges; the pool lends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._free: Free | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._by = 0.0
        self._late = ""
        self._is_paused = False
        self.is_open = False
        self.exchanges = 0
        """How many it has had, the one under way included."""
        self.idle_since = 0.0
        self.gone: Callable[[], None] | None = None
        """Told once when it is closed, by whomever."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are none of asyncio's classes, whatever they can.
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        """Hand on what came, and stop reading while the caller is far behind."""
        exchange = self._exchange
        if exchange is None:
            # Nobody asked for these: whose answer they would be is unknown, so the connection is done.
            self.abort()
            return
        exchange.feed(data)
        if exchange.is_whole or exchange.failure is not None:
            self._end(exchange)
        elif exchange.waiting_bytes > PAUSE_AT and not self._is_paused and self._transport is not None:
            self._transport.pause_reading()
            self._is_paused = True

    def eof_received(self) -> bool:
        """Let the transport close: a supplier that has said its last word is done."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """End what is under way."""
        self.is_open = False
        self._stop_timer()
        if self._exchange is not None:
            self._exchange.end_of_line(error)
            self._end(self._exchange)
        gone, self.gone = self.gone, None
        if gone is not None:
            gone()

    @property
    def transport(self) -> asyncio.Transport:
        """The stream below."""
        assert self._transport is not None  # noqa: S101 - a connection that was made
        return self._transport

    def send(self, request: bytes, *, until: float, free: Free) -> Exchange:
        """Send a request; `free` is told when its answer has come to an end, or the connection to its own."""
        assert self._transport is not None  # noqa: S101 - a connection that was made
        self.exchanges += 1
        self._free = free
        self._exchange = Exchange(self, self._loop, until=until)
        self._transport.write(request)
        return self._exchange

    def abort(self) -> None:
        """Close at once; whatever is under way is lost."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def wait_until(self, by: float, late: str) -> None:
        """Fail the exchange as late, unless it goes on before that loop time.

        The timer of the wait before is left to ring, be it of an earlier exchange: it looks at the time and sets itself
        anew, which costs less than a timer for each exchange and each piece of a stream.
        """
        if self._exchange is None:
            return
        self._by, self._late = by, late
        due = min(by, self._exchange.until)
        if self._timer is None or self._timer.when() > due:
            self._stop_timer()
            self._timer = self._loop.call_at(due, self._look_at_the_time)

    def read_on(self) -> None:
        """Read again after a pause."""
        if self._is_paused and self.is_open and self._transport is not None:
            self._transport.resume_reading()
            self._is_paused = False

    def drop(self, exchange: Exchange) -> None:
        """Close the connection if this is the exchange that is under way."""
        if self._exchange is exchange:
            exchange.fail(LostError("connection lost", "closed by us"))
            self.abort()

    def _end(self, exchange: Exchange) -> None:
        self._exchange = None
        exchange.rest()
        if not exchange.keeps_connection or not self.is_open:
            self.abort()
        self.read_on()
        free, self._free = self._free, None
        if free is not None:
            free(self)

    def _look_at_the_time(self) -> None:
        self._timer = None
        exchange = self._exchange
        # While nobody waits it is the caller who is slow; the next wait sets the timer again.
        if exchange is None or not exchange.is_awaited:
            return
        now, due = self._loop.time(), min(self._by, exchange.until)
        if now < due:
            self._timer = self._loop.call_at(due, self._look_at_the_time)
            return
        exchange.fail(TimedOutError("too slow in all" if now >= exchange.until else self._late))
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
