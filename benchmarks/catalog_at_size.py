"""How fast the catalog answers, and how much memory it holds, with a hundred thousand sources."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.connection import Connection
from benchmarks.large_catalog import MODELS, SUPPLIERS, LargeCatalog, large_catalog
from benchmarks.tables import Say, Table, judged, median, quantile

from modelbus.contracts.records import SourceRecord

ASKED = 400
"""Questions of each kind, one at a time, after some that do not count."""
WARM = 20
AIMS_MS = {"filtered": 50.0, "selector": 50.0, "the selector, not modified": 5.0}
"""Of the things whose names hold it; the last that fits counts."""
MEMORY_AIM_MB = 400.0
STREAM_S, CHANGES_PER_S, FOLLOWERS, FOLLOWED_EVERY_S = 10.0, 10, 5, 0.5

PAGES = {
    "page of models, filtered": (
        "/api/v1/models?model_type=image&is_available=true",
        "/api/v1/models?supplier_id={supplier}&limit=50",
        "/api/v1/models?search=vendor-7&limit=50",
        "/api/v1/models?sort=-display_name&model_type=language",
    ),
    "page of sources, filtered": (
        "/api/v1/sources?supplier_id={supplier}&is_available=true",
        "/api/v1/sources?is_available=false",
        "/api/v1/sources?supplier_id={supplier}&limit=200",
    ),
    "one model with its sources": ("/api/v1/models/{name}/sources",),
    "the selector": ("/api/v1/selector?access_key_id={access_key}",),
    "head": ("/api/v1/head",),
    "changes, the last 100": ("/api/v1/changes?after={revision}",),
}
"""What is asked; a further question is a line here."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What one kind of question took: until its answer was there, and of the catalog's processor time."""

    took_ms: list[float]
    busy_ms: float


@dataclass(frozen=True, slots=True)
class Stream:
    """What a steady stream of changes costs while followers ask for them."""

    busy: float
    """Of one core."""
    changes_ms: list[float]
    delta_ms: list[float]


async def measure(directory: Path, say: Say) -> Table:
    """Fill a catalog, start it as a process, and ask it over its socket."""
    say(f"filling {MODELS} models from each of {SUPPLIERS} suppliers")
    async with large_catalog(directory) as (catalog, start_s), catalog.connection() as connection:
        say(f"ready after {start_s:.1f} s; asking for snapshots")
        known = await _known(connection)
        snapshots = await _snapshots(connection, known["source"])
        say(f"asking {ASKED} times for each of {len(PAGES)} things")
        pages = {
            name: await _ask(catalog, connection, _asking(connection, paths, known)) for name, paths in PAGES.items()
        }
        pages["the selector, not modified"] = await _ask(catalog, connection, [await _unmodified(connection, known)])
        say(f"{CHANGES_PER_S} changes a second for {STREAM_S:.0f} s, with {FOLLOWERS} followers")
        stream = await _stream(catalog, known["source"])
        return _table(pages, snapshots, stream, start_s, catalog.resident_mb)


async def _known(connection: Connection) -> dict[str, Any]:
    source = (await connection.ask(connection.request("GET", "/api/v1/sources?limit=1"))).json()["items"][0]
    model = (await connection.ask(connection.request("GET", f"/api/v1/models/{source['model_id']}"))).json()
    head = (await connection.ask(connection.request("GET", "/api/v1/head"))).json()
    new = connection.request("POST", "/api/v1/access-keys", {"name": "measuring"})
    return {
        "access_key": (await connection.ask(new)).json()["id"],
        "source": source["id"],
        "supplier": source["supplier_id"],
        "name": model["name"],
        "revision": head["revision"] - 100,
    }


def _asking(connection: Connection, paths: Sequence[str], known: dict[str, Any]) -> list[bytes]:
    return [connection.request("GET", path.format(**known), accept_encoding="gzip") for path in paths]


async def _unmodified(connection: Connection, known: dict[str, Any]) -> bytes:
    """Write the request of a caller that has the selector already."""
    (path,) = PAGES["the selector"]
    answer = await connection.ask(connection.request("GET", path.format(**known)))
    return connection.request("GET", path.format(**known), if_none_match=answer.headers["etag"])


async def _ask(catalog: LargeCatalog, connection: Connection, asking: Sequence[bytes]) -> Asked:
    """Ask one after another, the requests taking turns."""
    requests = cycle(asking)
    for _ in range(WARM):
        await _timed(connection, next(requests))
    busy = catalog.busy_s
    took = [await _timed(connection, next(requests)) for _ in range(ASKED)]
    return Asked(took, 1000 * (catalog.busy_s - busy) / ASKED)


async def _timed(connection: Connection, request: bytes) -> float:
    begun = perf_counter()
    answer = await connection.ask(request)
    if answer.status not in {200, 304}:
        raise RuntimeError(f"answered {answer.status}: {answer.body[:300]!r}")
    return 1000 * (perf_counter() - begun)


async def _snapshots(connection: Connection, source: str) -> dict[str, tuple[float, int]]:
    """Answer milliseconds and bytes of the first snapshot, of the same again, and of one after a change."""
    request = connection.request("GET", "/api/v1/snapshot", accept_encoding="gzip")

    async def taken(asked: bytes) -> tuple[float, int]:
        begun = perf_counter()
        answer = await connection.ask(asked)
        return 1000 * (perf_counter() - begun), len(answer.body)

    found = {"first": await taken(request), "again": await taken(request)}
    await connection.ask(connection.request("PATCH", f"/api/v1/sources/{source}", {"priority": 199}))
    found["after a change"] = await taken(request)
    only = connection.request("GET", f"/api/v1/snapshot?kinds={SourceRecord.kind}")
    found["of sources, not compressed"] = await taken(only)
    return found


async def _stream(catalog: LargeCatalog, source: str) -> Stream:
    """Change one source steadily, while followers poll for what has changed."""
    stream, begun, busy = Stream(0.0, [], []), perf_counter(), catalog.busy_s
    async with asyncio.TaskGroup() as group:
        group.create_task(_change_steadily(catalog, source, stream.changes_ms))
        for _ in range(FOLLOWERS):
            group.create_task(_follow(catalog, stream.delta_ms))
    share = (catalog.busy_s - busy) / (perf_counter() - begun)
    return Stream(share, stream.changes_ms, stream.delta_ms)


async def _change_steadily(catalog: LargeCatalog, source: str, took: list[float]) -> None:
    async with catalog.connection() as connection:
        for number in range(int(STREAM_S * CHANGES_PER_S)):
            begun = perf_counter()
            request = connection.request("PATCH", f"/api/v1/sources/{source}", {"priority": number})
            took.append(await _timed(connection, request))
            await asyncio.sleep(max(0.0, begun + 1 / CHANGES_PER_S - perf_counter()))


async def _follow(catalog: LargeCatalog, took: list[float]) -> None:
    async with catalog.connection() as connection:
        head = (await connection.ask(connection.request("GET", "/api/v1/head"))).json()["revision"]
        until = perf_counter() + STREAM_S
        while perf_counter() < until:
            begun = perf_counter()
            answer = await connection.ask(connection.request("GET", f"/api/v1/changes?after={head}"))
            took.append(1000 * (perf_counter() - begun))
            head = answer.json()["revision"]
            await asyncio.sleep(FOLLOWED_EVERY_S)


def _table(
    pages: dict[str, Asked],
    snapshots: dict[str, tuple[float, int]],
    stream: Stream,
    start_s: float,
    resident_mb: float,
) -> Table:
    rows = [
        (name, *_milliseconds(each.took_ms), f"{each.busy_ms:.1f}", _aim(name, each)) for name, each in pages.items()
    ]
    rows.append((f"a change, {CHANGES_PER_S} a second", *_milliseconds(stream.changes_ms), "", ""))
    meanwhile = f"what has changed, meanwhile, by {FOLLOWERS} followers"
    rows.append((meanwhile, *_milliseconds(stream.delta_ms), "", ""))
    for name, (took, size) in snapshots.items():
        rows.append((f"snapshot, {name} ({size / 1e6:.1f} MB)", f"{took:.1f}", "", "", "", ""))
    aim = judged(f"< {MEMORY_AIM_MB:.0f} MB", is_met=resident_mb < MEMORY_AIM_MB)
    rows += [
        ("start until ready", f"{1000 * start_s:.0f}", "", "", "", ""),
        ("processor during the stream of changes", "", "", "", f"{100 * stream.busy:.0f} % of a core", ""),
        ("memory of the catalog, resident", f"{resident_mb:.0f} MB", "", "", "", aim),
    ]
    asked = {name: asdict(each) for name, each in pages.items()}
    figures = {"pages": asked, "snapshots_ms_bytes": snapshots, "resident_mb": resident_mb, "start_s": start_s}
    figures |= {"stream_busy": stream.busy, "change_ms": stream.changes_ms, "delta_ms": stream.delta_ms}
    about = f"{MODELS * SUPPLIERS} sources of {MODELS} models"
    return Table((about, "ms p50", "p99", "max", "processor ms", "aim"), rows, figures)


def _milliseconds(values: list[float]) -> tuple[str, str, str]:
    return f"{median(values):.1f}", f"{quantile(values, 0.99):.1f}", f"{max(values):.1f}"


def _aim(name: str, asked: Asked) -> str:
    aims = [aim for named, aim in AIMS_MS.items() if named in name]
    return judged(f"p99 < {aims[-1]:.0f} ms", is_met=quantile(asked.took_ms, 0.99) < aims[-1]) if aims else ""
