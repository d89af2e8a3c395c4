"""What integrity tells: a place of the configuration is not sound, or is again."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from modelbus.contracts.event import Event


class _ReferenceEvent(Event):
    finding_id: UUID
    holder_kind: str
    """What refers: `chain`, `split`, `complexity`, `strategy`, `scope`, `model`, `price`, `consumer`, `access_key` or
    `credential`."""
    holder_id: UUID
    holder_name: str
    place: str
    """Where in the holder, readable: `step 2`, `level hard, position 1`, `default`."""
    target_kind: str
    """What the finding is about: `model`, `source` or `supplier`."""
    target_id: UUID
    kind: str = ""
    """What was found: `dead`, `degraded`, `single_point`, `same_supplier_only`, `capability_mismatch`, `cost_jump`,
    `duplicate_step`, `cycle`, `retiring_soon`, `pending_price`, `orphaned_price`, `negative_margin`, `unflagged_skip`;
    empty where an older teller did not say, which found `dead` and `degraded` only."""
    where: str = ""
    """Holder and place in one, readable: `chain 'prod-chat', step 2`."""
    evidence: dict[str, Any] = Field(default_factory=dict)
    """What the rule has seen: texts, whole numbers and lists of texts."""

    def about(self) -> UUID:
        """Answer the finding's id."""
        return self.finding_id


class ReferenceStale(_ReferenceEvent):
    """A reference names something that is not available, or breaks another rule, as `kind` says."""

    type: ClassVar[str] = "reference.stale"
    version: ClassVar[str] = "1-1"

    severity: str
    """`dead`: nothing is left that could serve the holder; `degraded`: other places of it still can; `at_risk`: it
    serves now, but not as somebody may believe, or not for long."""
    reason: str
    since: datetime


class ReferenceRestored(_ReferenceEvent):
    """What was found is mended: the target serves again, the rule is kept, or the reference is gone itself."""

    type: ClassVar[str] = "reference.restored"
    version: ClassVar[str] = "1-1"

    resolution: str
    """`target_returned`, `reference_removed` or `mended`."""
