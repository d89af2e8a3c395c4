"""Names of hosts: one lookup at a time for each, and what was known last while the resolver does not answer."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from modelbus.router.upstream import names
from modelbus.router.upstream.names import Names


class Resolver:
    """Answers when it is told to, in the place of the system's."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        self.found: list[str] | OSError = ["192.0.2.1"]

    async def resolve(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        await self.answers.wait()
        if isinstance(self.found, OSError):
            raise self.found
        return self.found


@pytest.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Resolver]:
    """A resolver whose answers are over at once."""
    resolver = Resolver()
    monkeypatch.setattr(names, "_resolve", resolver.resolve)
    monkeypatch.setattr(names, "KEPT_S", 0.0)
    monkeypatch.setattr(names, "PATIENCE_S", 0.01)
    yield resolver
    resolver.answers.set()


async def test_a_host_has_one_lookup_however_many_wait_and_whoever_of_them_leaves(resolver: Resolver) -> None:
    known = Names()
    waiting = [asyncio.create_task(known.addresses("a", 1)) for _ in range(20)]
    other = asyncio.create_task(known.addresses("b", 1))
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    resolver.answers.set()

    assert await asyncio.gather(*waiting[1:], other) == [["192.0.2.1"]] * 20
    assert resolver.asked == ["a", "b"]


async def test_while_the_resolver_hangs_the_last_addresses_are_used(resolver: Resolver) -> None:
    known = Names()
    resolver.answers.set()
    assert await known.addresses("a", 1) == ["192.0.2.1"]
    resolver.answers.clear()
    resolver.found = ["192.0.2.2"]

    assert [await known.addresses("a", 1) for _ in range(5)] == [["192.0.2.1"]] * 5
    assert resolver.asked == ["a"] * 2
    resolver.answers.set()
    assert await known.addresses("a", 1) == ["192.0.2.2"]


async def test_a_resolver_that_fails_takes_no_address_away_and_is_left_alone_for_a_while(resolver: Resolver) -> None:
    known = Names()
    resolver.answers.set()
    await known.addresses("a", 1)
    resolver.found = socket.gaierror("no name server")

    assert [await known.addresses("a", 1) for _ in range(3)] == [["192.0.2.1"]] * 3
    assert resolver.asked == ["a"] * 2


async def test_a_host_that_was_never_found_is_looked_up_again(resolver: Resolver) -> None:
    known = Names()
    resolver.answers.set()
    resolver.found = socket.gaierror("unknown")
    with pytest.raises(socket.gaierror):
        await known.addresses("a", 1)
    resolver.found = ["192.0.2.1"]

    assert await known.addresses("a", 1) == ["192.0.2.1"]


async def test_the_systems_resolver_answers_each_address_once() -> None:
    assert await Names().addresses("127.0.0.1", 80) == ["127.0.0.1"]
    assert "127.0.0.1" in await Names().addresses("localhost", 80)
