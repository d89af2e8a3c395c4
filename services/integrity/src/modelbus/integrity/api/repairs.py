"""Repairs, as administrators choose and apply them."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, model_validator

from modelbus.chassis.idempotency_key import LONGEST_KEY, REPLAYED, IdempotencyKeyMalformedError
from modelbus.chassis.transactions import Reading
from modelbus.integrity.actions.repairs import Asked, apply, list_proposals
from modelbus.integrity.api.findings import FindingView
from modelbus.integrity.domain.errors import FindingNotFoundError
from modelbus.integrity.domain.remedies import Remedy, RepairProposal
from modelbus.integrity.store import findings, repairs
from modelbus.integrity.store.repairs import Applied

routes = APIRouter(prefix="/api/v1", tags=["repairs"])


class ProposalView(BaseModel):
    """One way to mend a finding."""

    remedy: Remedy
    """`replace`: the place names another model; `add`: one more place, tried last; `remove`: the place goes."""
    model_id: UUID | None
    model_name: str | None
    score: float
    """How near the model comes, from 0 to 1; 1 where it is named as the replacement."""
    reasons: list[str]
    leaves: list[str]
    """Kinds of findings that would be open at the place then."""

    @classmethod
    def of(cls, proposal: RepairProposal) -> "ProposalView":
        """Show a proposal."""
        return cls(
            remedy=proposal.remedy,
            model_id=proposal.model and proposal.model.id,
            model_name=proposal.model and proposal.model.name,
            score=proposal.score,
            reasons=list(proposal.reasons),
            leaves=list(proposal.leaves),
        )


class RollbackView(BaseModel):
    """How the catalog undoes a repair."""

    path: str
    """To be posted to, in the catalog."""
    version: int


class AppliedView(BaseModel):
    """A repair that was applied."""

    finding_id: UUID
    remedy: Remedy
    model_id: UUID | None
    applied_by: str
    applied_at: datetime
    holder_path: str
    """Of what was changed, in the catalog."""
    version_after: int | None
    rollback: RollbackView | None
    """Null where nothing had to be changed any more."""

    @classmethod
    def of(cls, applied: Applied) -> "AppliedView":
        """Show a repair."""
        before = applied.version_before
        return cls(
            finding_id=applied.finding_id,
            remedy=Remedy(applied.remedy),
            model_id=applied.model_id,
            applied_by=applied.applied_by,
            applied_at=applied.applied_at,
            holder_path=applied.holder_path,
            version_after=applied.version_after,
            rollback=None if before is None else RollbackView(path=f"{applied.holder_path}/rollback", version=before),
        )


class FindingWithRepairs(FindingView):
    """A finding, with what would mend it."""

    proposals: list[ProposalView]
    """The nearest first; empty where it is resolved, or only an administrator can decide."""
    repair: AppliedView | None
    """What was applied; the finding is resolved once the change was heard of."""


class RepairRequest(BaseModel):
    """Which of the proposals to apply."""

    model_config = ConfigDict(extra="forbid")

    remedy: Remedy
    model_id: UUID | None = None
    """Of `replace` and `add`."""

    @model_validator(mode="after")
    def _names_a_model_where_needed(self) -> Self:
        if (self.model_id is None) != (self.remedy is Remedy.REMOVE):
            raise ValueError("model_id must be given with `replace` and `add`, and only then")
        return self


@routes.get("/findings/{finding_id}")
async def show_finding(session: Reading, finding_id: UUID) -> FindingWithRepairs:
    """Show a finding with what would mend it, ranked, each with its reasons."""
    row = await findings.find_shown(session, finding_id)
    if row is None:
        raise FindingNotFoundError(f"no finding has the id {finding_id}")
    applied = await repairs.find_of(session, finding_id)
    return FindingWithRepairs(
        **FindingView.of(row).model_dump(),
        proposals=[ProposalView.of(each) for each in await list_proposals(session, finding_id)],
        repair=applied and AppliedView.of(applied),
    )


@routes.post("/repairs/{finding_id}")
async def repair(
    finding_id: UUID,
    chosen: RepairRequest,
    request: Request,
    response: Response,
    idempotency_key: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> AppliedView:
    """Apply one of the proposals through the catalog, with your own token; the same is done once.

    The answer says to which version the catalog can roll back.
    """
    if idempotency_key is not None and not _is_key(idempotency_key):
        raise IdempotencyKeyMalformedError
    asked = Asked(
        finding_id=finding_id,
        remedy=chosen.remedy,
        model_id=chosen.model_id,
        caller=request.state.caller.name,
        authorization=request.headers["authorization"],
        key=idempotency_key,
    )
    done = await apply(request.app.state.database, request.app.state.configuration, asked)
    if done.is_replayed:
        response.headers[REPLAYED] = "true"
    return AppliedView.of(done.applied)


def _is_key(text: str) -> bool:
    return 0 < len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()
