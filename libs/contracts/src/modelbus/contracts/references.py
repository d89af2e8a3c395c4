"""What integrity tells: a reference lost its target, or has it again."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modelbus.contracts.event import Event


class _ReferenceEvent(Event):
    finding_id: UUID
    holder_kind: str
    """What refers: `chain`, `complexity` or `scope`."""
    holder_id: UUID
    holder_name: str
    place: str
    """Where in the holder, readable: `step 2`, `level hard, position 1`, `default`."""
    target_kind: str
    """What is referred to: `model` or `source`."""
    target_id: UUID

    def about(self) -> UUID:
        """Answer the finding's id."""
        return self.finding_id


class ReferenceStale(_ReferenceEvent):
    """A reference names something that is not available."""

    type: ClassVar[str] = "reference.stale"

    severity: str
    """`dead`: nothing is left that could serve the holder; `degraded`: other places of it still can."""
    reason: str
    since: datetime


class ReferenceRestored(_ReferenceEvent):
    """A stale reference can be served again, or is gone itself."""

    type: ClassVar[str] = "reference.restored"

    resolution: str
    """`target_returned` or `reference_removed`."""
