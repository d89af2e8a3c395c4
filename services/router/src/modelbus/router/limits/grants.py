"""Whether anybody has a budget; while nobody has, what is spent need not be known."""

from collections.abc import Callable, Iterable
from itertools import chain

from modelbus.router.cache.records import AccessKey, Consumer
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import NotLoadedError


class Grants:
    """Looks through keys and consumers again when some have changed."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table
        self._seen: tuple[object, object] | None = None
        self._any = False

    def any(self) -> bool:
        """Tell whether there is a budget in the table in force."""
        try:
            table = self._table()
        except NotLoadedError:
            return False
        # Shelves are replaced when a record on them changes, and only then.
        seen = table.consumers, table.access_keys
        if self._seen is None or any(was is not one for was, one in zip(self._seen, seen, strict=True)):
            payers: Iterable[AccessKey | Consumer] = chain(table.consumers.all(), table.access_keys.all())
            self._seen, self._any = seen, any(payer.budgets for payer in payers)
        return self._any
