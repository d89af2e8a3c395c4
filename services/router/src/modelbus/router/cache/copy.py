"""The router's copy of the catalog: it follows the feed and puts each new table in the place of the old one."""

from pathlib import Path
from uuid import UUID

import httpx

from modelbus.chassis.feed import Applied, Follower
from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import Bus
from modelbus.contracts.feed import Snapshot
from modelbus.router.cache.table import SHELVES, Table
from modelbus.router.domain.errors import NotLoadedError

log = logger(__name__)


class CatalogCopy:
    """Holds the table in force."""

    def __init__(self, catalog: httpx.AsyncClient, bus: Bus, *, keep: Path) -> None:
        self.follower = Follower(catalog, bus, kinds=SHELVES, on_change=self._apply, prepare=self._prepare, keep=keep)
        self._table: Table | None = None
        self._prepared: tuple[Applied, Table] | None = None

    @property
    def table(self) -> Table:
        """Answer the table in force.

        Raises:
            NotLoadedError: there never was one.
        """
        if self._table is None:
            raise NotLoadedError("the router has not seen the catalog yet; try again")
        return self._table

    def supplier_name(self, supplier_id: UUID) -> str:
        """Answer what the supplier is called; its id where the table does not have it."""
        supplier = self._table.suppliers.get(supplier_id) if self._table else None
        return str(supplier_id) if supplier is None else supplier.name

    def _prepare(self, applied: Applied, snapshot: Snapshot) -> None:
        """Build the table of a whole snapshot, in a thread: a hundred thousand sources take seconds."""
        table = Table(snapshot.epoch, snapshot.revision)
        self._prepared = applied, table.after(applied, snapshot.epoch, snapshot.revision)

    def _apply(self, applied: Applied) -> None:
        epoch, revision = self.follower.epoch, self.follower.revision
        assert epoch is not None  # noqa: S101 - whoever applies something has an epoch
        before = self._table or Table(epoch, revision)
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared[0] is applied:
            self._table = prepared[1]
        else:
            self._table = before.after(applied, epoch, revision)
        for kind, shelf in self._table.shelves.items():
            for record_id in shelf.unreadable.keys() - before.shelves[kind].unreadable.keys():
                log.error("record can't be read and is left out", kind=kind, id=str(record_id))
