"""What suppliers answered, as it came, and what it would change if it came now."""

import asyncio
import base64
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from modelbus.chassis.transactions import Reading
from modelbus.sync.api.dependencies import Replaying
from modelbus.sync.api.listings import ModelChange, view_of
from modelbus.sync.clients.replay import unpack
from modelbus.sync.store import raw_listings

routes = APIRouter(prefix="/api/v1/runs", tags=["replays"])


class RawPage(BaseModel):
    """One answer of the supplier."""

    content_type: str
    """As the supplier told it."""
    text: str | None
    """The body, where it is UTF-8."""
    base64: str | None
    """The body, where it is not."""


class RawListing(BaseModel):
    """Everything that the supplier answered to the request that counted."""

    pages: list[RawPage]


class ReplayView(BaseModel):
    """A listing as it would be read now, beside the one that was applied last."""

    run_id: UUID
    supplier_id: UUID
    base_run_id: UUID | None
    """The run whose listing it is compared with; null when none has been applied."""
    reasons: list[str]
    """Why the guard would keep it back; empty when it would not."""
    digest: str
    listed_count: int
    left_out_count: int
    ignored_count: int
    held_prices_count: int
    added: int
    removed: int
    changed: int
    items: list[ModelChange]
    """A page of the differences, in order of name."""
    next_cursor: str | None


@routes.get("/{run_id}/raw")
async def read_raw_listing(run_id: UUID, session: Reading) -> RawListing:
    """Read what the supplier answered, also where that was no listing; the last few of each supplier are kept."""
    answers = await asyncio.to_thread(unpack, await raw_listings.read_raw(session, run_id))
    return RawListing(pages=[_page(each.kind, each.body) for each in answers])


@routes.post("/{run_id}/replay")
async def replay_run(
    run_id: UUID,
    replaying: Replaying,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> ReplayView:
    """Show what the answer would change if it came now; a dry run, nothing is written or asked."""
    replay = await replaying.replay_run(run_id)
    counts = {word: sum(each.change == word for each in replay.differences) for word in ("added", "removed", "changed")}
    rest = [each for each in replay.differences if each.upstream_name > cursor]
    items = [view_of(each) for each in rest[:limit]]
    found = replay.arrival.findings
    return ReplayView(
        run_id=run_id,
        supplier_id=replay.run.supplier_id,
        base_run_id=replay.verdict.base_run_id,
        reasons=replay.verdict.reasons,
        digest=found.digest,
        listed_count=found.listed_count,
        left_out_count=found.left_out_count,
        ignored_count=found.ignored_count,
        held_prices_count=found.held_prices_count,
        items=items,
        next_cursor=items[-1].upstream_name if len(rest) > limit else None,
        **counts,
    )


def _page(kind: str, body: bytes) -> RawPage:
    try:
        return RawPage(content_type=kind, text=body.decode(), base64=None)
    except UnicodeDecodeError:
        return RawPage(content_type=kind, text=None, base64=base64.b64encode(body).decode())
