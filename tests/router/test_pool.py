"""The pool: every place is given to whoever is next in line, and none is lost in a race."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from modelbus.router.domain.errors import NoConnectionError, UnreachableError
from modelbus.router.upstream.connection import Connection
from modelbus.router.upstream.dialling import Dialler
from modelbus.router.upstream.places import Origin, place_of
from modelbus.router.upstream.pool import Pool
from router.suppliers import supplier
from running import eventually


@dataclass(frozen=True, slots=True)
class Line:
    """A pool with room for one connection, which is lent, and those who wait for it."""

    pool: Pool
    origin: Origin
    other: Origin
    lent: Connection

    async def borrow(self, *, within_s: float = 2, is_fresh: bool = False, other: bool = False) -> Connection:
        by = asyncio.get_running_loop().time() + within_s
        return await self.pool.borrow(self.other if other else self.origin, by=by, is_fresh=is_fresh)

    async def waiting(self, **wish: bool | float) -> "asyncio.Task[Connection]":
        """Answer somebody who stands in line."""
        task = asyncio.create_task(self.borrow(**wish))  # type: ignore[arg-type]
        await eventually(lambda: any(shelf.waiting for shelf in self.pool._shelves.values()))
        return task

    def give_back(self) -> None:
        self.pool.give_back(self.origin, self.lent)

    def lose(self) -> None:
        """Close the connection that is lent, as the loop says it."""
        gone, self.lent.gone = self.lent.gone, None
        assert gone is not None
        self.lent.abort()
        gone()


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    async def hold(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with supplier(hold) as one, supplier(hold) as two:
        origin, other = (place_of(place.base_url, is_local=True)[0] for place in (one, two))
        pool = Pool(Dialler(1.0, ssl.create_default_context(), proxies={}), most=1)
        lent = await pool.borrow(origin, by=asyncio.get_running_loop().time() + 2)
        yield Line(pool, origin, other, lent)
        pool.close()


async def test_what_comes_back_as_the_time_of_who_waits_ends_goes_to_the_next() -> None:
    async with line() as a:
        loop = asyncio.get_running_loop()
        late = await a.waiting(within_s=0.05)
        # Both timers ring in one turn of the loop, the one of the connection first.
        loop.call_later(0.01, a.give_back)
        until = loop.time() + 0.1
        while loop.time() < until:
            pass

        with pytest.raises(NoConnectionError):
            await late
        assert await a.borrow() is a.lent
        assert a.pool.made == 1


async def test_what_comes_back_as_who_waits_leaves_goes_to_the_next() -> None:
    async with line() as a:
        leaving = await a.waiting()
        a.give_back()
        leaving.cancel()

        assert await a.borrow() is a.lent


async def test_room_that_is_told_as_who_waits_leaves_is_for_the_next() -> None:
    async with line() as a:
        leaving, next_one = await a.waiting(), asyncio.create_task(a.borrow())
        await asyncio.sleep(0)
        a.lose()
        leaving.cancel()

        assert (await next_one).is_open
        assert a.pool.made == 1


async def test_room_is_for_who_waits_and_not_for_who_comes() -> None:
    async with line() as a:
        first = await a.waiting()
        newcomer = asyncio.create_task(a.borrow())
        a.lose()

        assert (await first).is_open
        assert not newcomer.done()
        newcomer.cancel()


async def test_a_connection_that_closes_on_its_way_to_who_waits_leaves_its_place_to_the_same() -> None:
    async with line() as a:
        waiting = await a.waiting()
        a.give_back()
        a.lose()

        assert (await waiting) is not a.lent
        assert a.pool.made == 1


async def test_who_needs_a_fresh_one_takes_the_place_of_a_used_one() -> None:
    async with line() as a:
        waiting = await a.waiting(is_fresh=True)
        a.give_back()

        assert (await waiting) is not a.lent
        assert not a.lent.is_open
        assert a.pool.made == 1


async def test_an_idle_connection_gives_way_to_who_waits_for_another_supplier() -> None:
    async with line() as a:
        waiting = await a.waiting(other=True)
        a.give_back()

        assert (await waiting).is_open
        assert (a.lent.is_open, a.pool.made) == (False, 1)


async def test_a_connection_that_is_closed_before_anybody_has_it_keeps_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dial = Dialler.dial

    async def dial_in_vain(self: Dialler, origin: Origin, *, by: float) -> Connection:
        connection = await dial(self, origin, by=by)
        connection.abort()
        await asyncio.sleep(0)
        return connection

    async with line() as a:
        a.lose()
        with monkeypatch.context() as patch, pytest.raises(UnreachableError):
            patch.setattr(Dialler, "dial", dial_in_vain)
            await a.borrow()

        assert a.pool.made == 0
