"""What was last told of one thing in the catalog; a deleted one stays known, so that old news can't revive it."""

from dataclasses import dataclass
from uuid import UUID

from modelbus.integrity.domain.index import Key
from modelbus.integrity.domain.references import Reference


@dataclass(frozen=True, slots=True)
class Known:
    """A record of the catalog, as far as the index goes."""

    kind: str
    id: UUID
    revision: int
    """Of the event, or of the snapshot, that told it."""
    digest: int
    """The feed's digest of the record; 0 when it is deleted."""
    record: str | None = None
    """The record as its own JSON text, or `{}` where nothing in it is asked for; None when it is deleted."""
    name: str | None = None
    is_active: bool = False
    model_id: UUID | None = None
    """Of a source: the model that it serves."""
    references: tuple[Reference, ...] = ()

    @property
    def key(self) -> Key:
        """Answer kind and id."""
        return self.kind, self.id
