"""What is seen of suppliers and their sources from outside: whether they answer."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modelbus.contracts.event import Event


class SourceHealthChanged(Event):
    """Somebody sees one source, or all sources of a supplier, in another state than before.

    What is seen is told again from time to time, changed or not: a hearer may forget what nobody repeats, so that an
    observer that died keeps nothing out of service.
    """

    type: ClassVar[str] = "source.health_changed"

    observer: str
    """Who sees it: `sync`, or a router by its id. Observers may differ; each speaks for itself."""
    supplier_id: UUID
    source_id: UUID | None = None
    """None: every source of the supplier."""
    health: str
    """`healthy`, `degraded`, `down`, or `unknown` once the observer looks no more."""
    since: datetime
    """From when on it is so."""
    observed_at: datetime
    """When the observer held it to be so; of two that it tells of the same thing, the later one holds."""
    reason: str | None = None
    """In our words; never what a supplier said."""

    def about(self) -> UUID:
        """Answer the id of the source, or of the supplier."""
        return self.source_id or self.supplier_id
