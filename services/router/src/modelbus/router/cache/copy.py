"""The router's copy of the catalog: it follows the feed and puts each new table in the place of the old one."""

from pathlib import Path

import httpx

from modelbus.chassis.feed import Applied, Follower
from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import Bus
from modelbus.router.cache.table import SHELVES, Table
from modelbus.router.domain.errors import NotLoadedError

log = logger(__name__)


class CatalogCopy:
    """Holds the table in force."""

    def __init__(self, catalog: httpx.AsyncClient, bus: Bus, *, keep: Path) -> None:
        self.follower = Follower(catalog, bus, kinds=SHELVES, on_change=self._apply, keep=keep)
        self._table: Table | None = None

    @property
    def table(self) -> Table:
        """Answer the table in force.

        Raises:
            NotLoadedError: there never was one.
        """
        if self._table is None:
            raise NotLoadedError("the router has not seen the catalog yet; try again")
        return self._table

    def _apply(self, applied: Applied) -> None:
        epoch, revision = self.follower.epoch, self.follower.revision
        assert epoch is not None  # noqa: S101 - whoever applies something has an epoch
        before = self._table or Table(epoch, revision)
        self._table = before.after(applied, epoch, revision)
        for kind, shelf in self._table.shelves.items():
            for record_id in shelf.unreadable.keys() - before.shelves[kind].unreadable.keys():
                log.error("record can't be read and is left out", kind=kind, id=str(record_id))
