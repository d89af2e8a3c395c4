"""What would break if something went, as administrators ask before they let it go."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading
from modelbus.integrity.actions.impact import impact_of
from modelbus.integrity.api.validations import FaultView
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.domain.usage import RECENT, Share

routes = APIRouter(prefix="/api/v1/impact", tags=["impact"])


class ShareView(BaseModel):
    """What a target has of recent requests."""

    hours: int
    """So far back."""
    requests: int
    """By which the target was asked."""
    of: int
    """All by which any supplier was asked."""
    share: float
    """From 0 to 1."""

    @classmethod
    def of_share(cls, share: Share) -> "ShareView":
        """Show a share."""
        hours = int(RECENT.total_seconds() // 3600)
        return cls(hours=hours, requests=share.requests, of=share.of, share=round(share.part, 6))


class ImpactView(BaseModel):
    """What would come of it if a target went."""

    target_kind: TargetKind
    target_id: UUID
    target_name: str | None
    """Of a model or supplier; null of a source."""
    revision: int
    """The newest revision of the catalog that was heard when this was judged."""
    checked: int
    """How many references were looked at."""
    findings: list[FaultView]
    """What would be found then and is not now, or would be worse; the worst first."""
    usage: ShareView | None
    """Null where no router told of any request."""


class ImpactQuery(BaseModel):
    """What would go."""

    model_config = ConfigDict(extra="forbid")

    # The pattern keeps NUL out, which PostgreSQL can't compare with.
    target: str = Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")


@routes.get("")
async def preview(session: Reading, asked: Annotated[ImpactQuery, Query()]) -> ImpactView:
    """Show what would break without `target`: the id of a model, source or supplier, or the name of a model."""
    impact = await impact_of(session, asked.target)
    return ImpactView(
        target_kind=TargetKind(impact.target.kind),
        target_id=impact.target.id,
        target_name=impact.target.name,
        revision=impact.revision,
        checked=impact.checked,
        findings=[FaultView.of(fault) for fault in impact.faults],
        usage=None if impact.share is None else ShareView.of_share(impact.share),
    )
