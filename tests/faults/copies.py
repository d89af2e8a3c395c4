"""Copies: what each catalog, router and sync holds in memory is what the catalog's tables say at that revision."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self
from uuid import UUID

from faults.reading import SETTLED_WITHIN_S
from faults.rig import CATALOGS, ROUTERS, Rig
from modelbus.catalog.actions.feed import Feed
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.contracts.feed import Head
from running import eventually


class Copy(NamedTuple):
    """What somebody holds, by digest of each kind."""

    epoch: UUID
    revision: int
    digests: Mapping[str, str]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Read what was told of it."""
        return cls(UUID(told["epoch"]), told["revision"], told["digests"])

    def is_at(self, truth: Head) -> bool:
        """Tell whether it stands where the truth does."""
        return (self.epoch, self.revision) == (truth.epoch, truth.revision)

    def differs_in(self, truth: Head) -> list[str]:
        """Name the kinds in which it is not the truth; a follower holds the kinds that it needs."""
        return [kind for kind, digest in self.digests.items() if digest != truth.digests.get(kind)]


async def check_copies(rig: Rig) -> None:
    """Wait until all stand where the tables do, and compare.

    Raises:
        AssertionError: one of them does not get there, or differs.
    """
    found: list[tuple[Head, dict[str, Copy]]] = []

    async def all_there() -> bool:
        copies = await _copies(rig)
        # The tables are read when it is worth it.
        assert len({each[:2] for each in copies.values()}) == 1, copies
        truth = await read_tables(rig.database)
        found[:] = [(truth, copies)]
        return all(each.is_at(truth) for each in copies.values())

    await eventually(all_there, within_s=SETTLED_WITHIN_S)
    [(truth, copies)] = found
    assert all(each.digests for each in copies.values())
    wrong = {name: kinds for name, each in copies.items() if (kinds := each.differs_in(truth))}
    assert not wrong, wrong


async def read_tables(url: str) -> Head:
    """Read all from the tables, as the catalog does when it starts: what was told since has no part in it."""
    database = Database(url, service="catalog", pool=1)
    try:
        return await Feed(database, outbox).head()
    finally:
        await database.close()


async def _copies(rig: Rig) -> dict[str, Copy]:
    """Answer every copy by whose it is."""
    heads = {each: (await rig.http(each).get("/api/v1/head")).json() for each in CATALOGS}
    caches = {each: (await rig.http(each).get("/api/v1/cache")).json() for each in ROUTERS}
    for cache in caches.values():
        assert cache["alarms"] == 0
        assert not cache["is_stale"]
    kept = {each: _kept_by(rig, each) for each in rig.like("sync")}
    return {name: Copy.of(told) for name, told in (heads | caches | kept).items()}


def _kept_by(rig: Rig, sync: str) -> dict[str, Any]:
    # Sync shows its copy nowhere but in what it keeps for its next start.
    kept = (rig.home / "state" / sync / "catalog.json").read_bytes()
    found: dict[str, Any] = json.loads(kept.partition(b"\n")[2])
    return found
