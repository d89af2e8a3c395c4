"""The connections that are kept: the one used last is used first, so that the others can be let go."""

import asyncio
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field

from modelbus.router.domain.errors import NoConnectionError, UnreachableError
from modelbus.router.upstream.connection import Connection
from modelbus.router.upstream.dialling import Dialler
from modelbus.router.upstream.places import Origin

IDLE_S = 30.0
"""Below what providers and load balancers usually grant (60 s and more), so that we drop idle connections first."""
_LEAST_PER_ORIGIN = 16


@dataclass(slots=True)
class _Shelf:
    """The connections to one origin."""

    idle: list[Connection] = field(default_factory=list)
    made: int = 0
    """Open ones, those that are being made, and those that a waiter was told to make."""
    waiting: deque[asyncio.Future[Connection | None]] = field(default_factory=deque)


class Pool:
    """Lends connections; at most so many in all, and a part of them to one origin."""

    def __init__(self, dialler: Dialler, *, most: int) -> None:
        self._dialler = dialler
        self._most = most
        # One supplier that hangs must leave connections for the others.
        self._most_per_origin = max(most // 4, _LEAST_PER_ORIGIN)
        self._shelves: dict[Origin, _Shelf] = defaultdict(_Shelf)
        self._made = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._is_closed = False

    async def borrow(self, origin: Origin, *, by: float, is_fresh: bool = False) -> Connection:
        """Answer a connection, waiting in line for one if all are lent; a fresh one was never used before.

        Raises:
            AttemptFailedError: none can be made, or none comes free in time.
        """
        shelf = self._shelves[origin]
        while not is_fresh and shelf.idle:
            connection = shelf.idle.pop()
            if connection.is_open:
                return connection
        if self._has_room(shelf):
            self._count(shelf)
        elif lent := await self._in_line(origin, shelf, by, is_fresh=is_fresh):
            return lent
        return await self._make(origin, by)

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Take a connection back whose exchange is over; one that is closed was counted when it closed."""
        if not connection.is_open or self._is_closed:
            connection.abort()
            return
        shelf = self._shelves[origin]
        while shelf.waiting:
            waiter = shelf.waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        connection.idle_since = asyncio.get_running_loop().time()
        shelf.idle.append(connection)
        if self._made >= self._most and any(self._is_held_up(each) for each in self._shelves.values()):
            self._let_one_go()
        if self._sweeper is None:
            self._sweep_later()

    def close(self) -> None:
        """Close every idle connection; those that are lent close when they come back."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for shelf in list(self._shelves.values()):
            for connection in shelf.idle:
                connection.abort()
            shelf.idle.clear()

    @property
    def made(self) -> int:
        """How many connections there are, those that are being made included."""
        return self._made

    def _is_held_up(self, shelf: _Shelf) -> bool:
        """Tell whether somebody waits there only because all places are taken, by idle connections to others too."""
        return bool(shelf.waiting) and shelf.made < self._most_per_origin

    def _has_room(self, shelf: _Shelf) -> bool:
        if shelf.made >= self._most_per_origin:
            return False
        if self._made >= self._most:
            self._let_one_go()
        return self._made < self._most

    def _let_one_go(self) -> None:
        """Close the connection that has been idle for longest, of whatever origin."""
        idle = [shelf.idle[0] for shelf in self._shelves.values() if shelf.idle]
        if idle:
            oldest = min(idle, key=lambda connection: connection.idle_since)
            self._forget(oldest)

    def _forget(self, connection: Connection) -> None:
        """Close an idle connection and count it as gone now, not when the loop says so."""
        gone, connection.gone = connection.gone, None
        connection.abort()
        for shelf in self._shelves.values():
            if connection in shelf.idle:
                shelf.idle.remove(connection)
        if gone is not None:
            gone()

    async def _in_line(self, origin: Origin, shelf: _Shelf, by: float, *, is_fresh: bool) -> Connection | None:
        """Wait for a connection, or for the place of one that is to be made, which is counted then."""
        while True:
            lent = await self._wait(origin, shelf, by)
            if lent is None:
                return None
            if not lent.is_open:
                # It closed on its way here, and its place has gone to the next in line.
                if self._has_room(shelf):
                    self._count(shelf)
                    return None
                continue
            if not is_fresh:
                return lent
            lent.gone = None
            lent.abort()
            return None

    async def _wait(self, origin: Origin, shelf: _Shelf, by: float) -> Connection | None:
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        shelf.waiting.append(waiter)
        try:
            async with asyncio.timeout_at(by):
                return await waiter
        except TimeoutError as error:
            self._decline(origin, waiter)
            raise NoConnectionError("no connection in time", "all are in use") from error
        except asyncio.CancelledError:
            self._decline(origin, waiter)
            raise

    def _decline(self, origin: Origin, waiter: asyncio.Future[Connection | None]) -> None:
        """Stand in line no more, and pass on what was handed over in this very moment."""
        if waiter.cancelled():
            with suppress(ValueError):
                self._shelves[origin].waiting.remove(waiter)
        elif (lent := waiter.result()) is not None:
            self.give_back(origin, lent)
        else:
            self._one_less(origin)

    async def _make(self, origin: Origin, by: float) -> Connection:
        """Make the connection whose place is counted already."""
        connection: Connection | None = None
        try:
            connection = await self._dialler.dial(origin, by=by)
            if not connection.is_open:
                raise UnreachableError("not reachable", "closed at once")
        finally:
            if connection is None or not connection.is_open:
                self._one_less(origin)
        connection.gone = lambda: self._one_less(origin)
        return connection

    def _count(self, shelf: _Shelf) -> None:
        shelf.made += 1
        self._made += 1

    def _one_less(self, origin: Origin) -> None:
        self._shelves[origin].made -= 1
        self._made -= 1
        # Its place is for whoever waits for this origin, else for whoever waits longest elsewhere; it is counted at
        # once, so that nobody who comes later takes it.
        for shelf in (self._shelves[origin], *self._shelves.values()):
            while shelf.waiting and shelf.made < self._most_per_origin:
                waiter = shelf.waiting.popleft()
                if not waiter.done():
                    self._count(shelf)
                    waiter.set_result(None)
                    return

    def _sweep_later(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(IDLE_S / 4, self._sweep)

    def _sweep(self) -> None:
        """Let go what has been idle for too long."""
        self._sweeper = None
        before = asyncio.get_running_loop().time() - IDLE_S
        for shelf in list(self._shelves.values()):
            for connection in [each for each in shelf.idle if each.idle_since <= before or not each.is_open]:
                self._forget(connection)
        if any(shelf.idle for shelf in self._shelves.values()):
            self._sweep_later()
