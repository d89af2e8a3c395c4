"""What routers tell one another about limits, so that one caller has one allowance, whichever router it asks."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from modelbus.contracts.event import Event


class DrawnRecord(BaseModel):
    """What one holder of limits took at one router."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holder_id: UUID
    """An access key, a consumer, or a credential of a supplier."""
    requests: int
    """Since the router's last word about the holder."""
    tokens: int
    """Since then; negative where less was used than had been set aside."""
    inside: int
    """Its requests that are under way at this router now."""


class LimitsDrawn(Event):
    """Drawn from limits at one router; told on core NATS several times a second while there is something to tell."""

    type: ClassVar[str] = "limits.drawn"

    teller_id: UUID
    """The process of the router; another one after each start."""
    holders: list[DrawnRecord]
