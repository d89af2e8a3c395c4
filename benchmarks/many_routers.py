"""What many routers that follow one catalog of a hundred thousand sources cost it, and how soon each has a change."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from benchmarks.connection import Connection
from benchmarks.large_catalog import MIB, MODELS, SUPPLIERS, LargeCatalog, large_catalog
from benchmarks.many_copies import CopyOfOne, copies
from benchmarks.tables import Say, Table, quantile

from modelbus.chassis import memory
from modelbus.launcher.nats import NatsServer

ROUTERS = 50
CHANGES, PER_S = 200, 10
STORMS = ({"tier": "pro"}, {"tier": "max"})
"""What each of two calls brings over every model: as many changes as there are models, at once."""
LATEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used until now, or between two moments."""

    catalog_s: float
    nats_s: float
    own_s: float
    nats_bytes: int
    """That NATS wrote: to all connections, and once to its disk."""
    http_bytes: int
    asked: int

    def since(self, before: "Spent") -> "Spent":
        """Answer the difference."""
        return Spent(
            self.catalog_s - before.catalog_s,
            self.nats_s - before.nats_s,
            self.own_s - before.own_s,
            self.nats_bytes - before.nats_bytes,
            self.http_bytes - before.http_bytes,
            self.asked - before.asked,
        )


class Watched:
    """The catalog and all that follow it."""

    def __init__(self, catalog: LargeCatalog, routers: Sequence[CopyOfOne]) -> None:
        self.catalog = catalog
        self.routers = routers
        self.own = psutil.Process()

    def spent(self) -> Spent:
        """Look at every meter."""
        server = self.catalog.bus.server
        assert isinstance(server, NatsServer)  # noqa: S101 - in a container its processor time can't be seen
        nats = psutil.Process(server.pid)
        return Spent(
            self.catalog.busy_s,
            _busy_s(nats),
            _busy_s(self.own),
            int(nats.io_counters().write_chars),
            sum(each.received for each in self.routers),
            sum(each.asked for each in self.routers),
        )

    async def all_at(self, revision: int) -> float:
        """Wait until the revision is in force everywhere; answer when it was."""
        async with asyncio.timeout(LATEST_S):
            while any(each.revision < revision for each in self.routers):  # noqa: ASYNC110 - copies tell nobody
                await asyncio.sleep(0.01)
        return max(each.in_force_at(revision) for each in self.routers)


async def measure(directory: Path, say: Say) -> Table:
    """Start one catalog and many copies, change it slowly and all at once, and take the bus away."""
    async with large_catalog(directory) as (catalog, _):
        before = _resident_mb()
        async with copies(catalog, 1):
            memory.settle()
            one_mb = _resident_mb() - before
        say(f"one copy holds {one_mb:.0f} MB; starting {ROUTERS}")
        busy, begun = catalog.busy_s, perf_counter()
        async with copies(catalog, ROUTERS) as routers, catalog.connection() as connection:
            watched = Watched(catalog, routers)
            start = watched.spent()
            boot = {"s": perf_counter() - begun, "catalog_ms": 1000 * (catalog.busy_s - busy) / ROUTERS}
            boot["mb"] = start.http_bytes / ROUTERS / MIB
            memory.settle()
            say(f"all loaded after {boot['s']:.0f} s; {CHANGES} changes, {PER_S} a second")
            slow = await _slowly(watched, connection)
            say("a storm")
            storm = await _storm(watched, connection)
            say(f"in force everywhere after {storm['s']:.1f} s; the bus goes and comes back")
            back = await _bus_gone(watched)
            await _compare(watched, connection)
            memory_mb = {"one": one_mb, "all": _resident_mb() - before, "catalog": catalog.resident_mb}
            return _table(memory_mb, boot, slow, storm, back)


async def _slowly(watched: Watched, connection: Connection) -> dict[str, Any]:
    """Make changes at a steady pace; answer for each and for each router the milliseconds from the answer on."""
    offered = (await connection.ask(connection.request("GET", "/api/v1/sources?limit=100"))).json()["items"]
    before, answers, begun = watched.spent(), list[tuple[int, float]](), perf_counter()
    for number in range(CHANGES):
        path = f"/api/v1/sources/{offered[number % len(offered)]['id']}"
        answer = await connection.ask(connection.request("PATCH", path, {"priority": 300 + number}))
        answer.json()
        answers.append((int(answer.headers["x-modelbus-revision"]), perf_counter()))
        await asyncio.sleep(max(0.0, begun + (number + 1) / PER_S - perf_counter()))
    await watched.all_at(answers[-1][0])
    took = [sorted(1000 * (each.in_force_at(revision) - at) for each in watched.routers) for revision, at in answers]
    return {
        "first_ms": [each[0] for each in took],
        "middle_ms": [each[len(each) // 2] for each in took],
        "last_ms": [each[-1] for each in took],
        "spent": watched.spent().since(before),
        "s": perf_counter() - begun,
    }


async def _storm(watched: Watched, connection: Connection) -> dict[str, Any]:
    """Make all changes by a few calls; the time of each of them begins when its call, one commit, has its answer."""
    head, before, calls = await _head(connection), watched.spent(), list[tuple[int, float]]()
    for change in STORMS:
        await connection.ask(connection.request("POST", "/api/v1/models/bulk", {"filter": {}, "change": change}))
        answered = perf_counter()
        calls.append((await _head(connection), answered))
    wanted, answered = calls[-1]
    last = await watched.all_at(wanted)
    first = min(each.in_force_at(wanted) for each in watched.routers)
    spent = watched.spent().since(before)
    took = _took(watched.routers, head, calls)
    return {
        "changes": wanted - head,
        "first_s": first - answered,
        "s": last - answered,
        "p50_s": quantile(took, 0.5),
        "p99_s": quantile(took, 0.99),
        "spent": spent,
    }


def _took(routers: Sequence[CopyOfOne], head: int, calls: Sequence[tuple[int, float]]) -> list[float]:
    """Answer for each change since the head and each router the seconds; of each call, its last revision is given."""
    begins = [head, *(last for last, _ in calls[:-1])]
    return [
        each.in_force_at(revision) - at
        for begin, (last, at) in zip(begins, calls, strict=True)
        for revision in range(begin + 1, last + 1)
        for each in routers
    ]


async def _bus_gone(watched: Watched) -> dict[str, Any]:
    """Kill NATS and start it again: everybody reconnects and asks the catalog what it has missed."""
    before, asked = watched.spent(), [each.asked for each in watched.routers]
    watched.catalog.bus.server.kill()
    watched.catalog.bus.server.restart()
    begun = perf_counter()

    def is_back() -> bool:
        has_asked = all(each.asked > then for each, then in zip(watched.routers, asked, strict=True))
        return has_asked and all(each.bus.is_connected and not each.follower.is_stale for each in watched.routers)

    async with asyncio.timeout(LATEST_S):
        while not is_back():  # noqa: ASYNC110 - copies tell nobody
            await asyncio.sleep(0.01)
    now = watched.spent()
    return {
        "s": perf_counter() - begun,
        "asked": now.asked - before.asked,
        "catalog_s": now.catalog_s - before.catalog_s,
        "http_bytes": now.http_bytes - before.http_bytes,
    }


async def _compare(watched: Watched, connection: Connection) -> None:
    """Hold every copy against the truth.

    Raises:
        RuntimeError: one of them differs.
    """
    head = (await connection.ask(connection.request("GET", "/api/v1/head"))).json()
    for each in watched.routers:
        if {kind: head["digests"][kind] for kind in each.follower.digests()} != each.follower.digests():
            raise RuntimeError("a copy differs from the truth")


async def _head(connection: Connection) -> int:
    return int((await connection.ask(connection.request("GET", "/api/v1/head"))).json()["revision"])


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss) / MIB


def _busy_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _table(
    memory_mb: dict[str, float],
    boot: dict[str, float],
    slow: dict[str, Any],
    storm: dict[str, Any],
    back: dict[str, Any],
) -> Table:
    calm, wild = slow["spent"], storm["spent"]
    told, applied = ROUTERS * CHANGES, ROUTERS * storm["changes"]
    rows = [
        ("memory of one copy, records and table", f"{memory_mb['one']:.0f} MB"),
        (f"memory of {ROUTERS} that hold what is alike once", f"{memory_mb['all']:.0f} MB"),
        ("a first snapshot, over HTTP", f"{boot['mb']:.2f} MB"),
        ("a first snapshot, of the catalog's processor", f"{boot['catalog_ms']:.1f} ms"),
        (f"one change at {PER_S}/s, in force in the first of {ROUTERS}", _milliseconds(slow["first_ms"])),
        ("the same in the middle one", _milliseconds(slow["middle_ms"])),
        ("the same in the last one", _milliseconds(slow["last_ms"])),
        ("the same, of the catalog's processor", f"{1000 * calm.catalog_s / CHANGES:.1f} ms a change"),
        ("the same, of NATS' processor", f"{1e6 * calm.nats_s / told:.0f} us a change and router"),
        ("the same, written by NATS", f"{calm.nats_bytes / told:.0f} bytes a change and router"),
        ("the same, over HTTP", f"{calm.asked} questions, {calm.http_bytes / MIB:.2f} MB"),
        (f"{storm['changes']} changes at once, in force in the first", f"{storm['first_s']:.1f} s"),
        ("the same in the last one", f"{storm['s']:.1f} s"),
        ("each of them in each router, from the answer to its call", _seconds(storm)),
        ("the same, of the catalog's processor", f"{wild.catalog_s:.1f} s"),
        ("the same, of NATS' processor", f"{1e6 * wild.nats_s / applied:.0f} us a change and router"),
        ("the same, of a router's processor", f"{1e6 * wild.own_s / applied:.0f} us a change"),
        ("the same, written by NATS", f"{wild.nats_bytes / MIB:.0f} MB"),
        ("the same, over HTTP", f"{wild.asked} questions, {wild.http_bytes / MIB:.1f} MB"),
        ("NATS gone and back: all have asked and are sure again", f"{back['s']:.1f} s, {back['asked']} questions"),
        ("the same, of the catalog's processor", f"{1000 * back['catalog_s'] / back['asked']:.1f} ms a question"),
        ("memory of the catalog, resident", f"{memory_mb['catalog']:.0f} MB"),
    ]
    figures = {"memory_mb": memory_mb, "boot": boot, "slow": slow, "storm": storm, "back": back}
    plain = {name: {key: _plain(value) for key, value in each.items()} for name, each in figures.items()}
    return Table((f"{ROUTERS} routers, {MODELS * SUPPLIERS} sources", "measured"), rows, plain)


def _plain(value: Any) -> Any:
    return asdict(value) if isinstance(value, Spent) else value


def _seconds(took: dict[str, float]) -> str:
    return f"p50 {took['p50_s']:.1f} s, p99 {took['p99_s']:.1f} s"


def _milliseconds(values: Sequence[float]) -> str:
    return f"p50 {quantile(values, 0.5):.1f} ms, p99 {quantile(values, 0.99):.1f} ms"
