"""Suppliers are looked at when it is their turn, or when somebody wants it; traffic counts before any probe."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.usage import AttemptRecord, UsageRecorded
from modelbus.sync.actions import token_probes
from modelbus.sync.domain.errors import NotProbedError
from modelbus.sync.domain.probes import Health, Rule, Seen, Watch, Way
from modelbus.sync.domain.token_probes import TokenProbe
from modelbus.sync.store import probes

JITTER = 0.1
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When to look, and what to make of it."""

    interval: timedelta
    retry: timedelta
    """Between a bad look and the next."""
    rule: Rule


@dataclass(frozen=True, slots=True)
class Turn:
    """A supplier to look at now."""

    supplier_id: UUID
    base_url: str
    token_probe: TokenProbe | None = None
    """To be asked for a token, which is already counted."""


async def watch_suppliers(session: AsyncSession, suppliers: Mapping[UUID, SupplierRecord]) -> None:
    """Look at these suppliers from now on, and at no others."""
    await probes.watch_suppliers(session, suppliers, await probes.read_clock(session))


async def take_turns(session: AsyncSession, rhythm: Rhythm, *, limit: int) -> list[Turn]:
    """Take those whose turn it is; each is moved on to its next turn, so no other replica takes it too.

    Whom callers were served by since the last turn need not be looked at: that is seen, and costs nothing.
    """
    now = await probes.read_clock(session)
    turns = []
    for watch in await probes.lock_due(session, now, limit=limit):
        moved = replace(watch, due_at=now + _about(rhythm.interval))
        if watch.is_served_by_traffic(now - rhythm.interval):
            moved = moved.see(Seen(Way.TRAFFIC, is_ok=True), now, rhythm.rule)
        else:
            turns.append(await _turn(session, watch, now))
        await probes.save_watch(session, moved)
    return turns


async def take_turn(session: AsyncSession, supplier_id: UUID, *, with_tokens: bool) -> Turn:
    """Take a supplier out of turn, because somebody wants it looked at.

    Raises:
        NotProbedError: nobody looks at it.
        TokenProbeNotFoundError, BudgetSpentError: it can't be asked for a token.
    """
    watch = await get_watch(session, supplier_id)
    now = await probes.read_clock(session)
    probe = await token_probes.spend(session, supplier_id, now) if with_tokens else None
    return Turn(watch.supplier_id, watch.base_url, probe)


async def get_watch(session: AsyncSession, supplier_id: UUID) -> Watch:
    """Answer how the supplier is seen.

    Raises:
        NotProbedError: nobody looks at it.
    """
    watch = await probes.find_watch(session, supplier_id)
    if watch is None:
        raise NotProbedError(supplier_id)
    return watch


async def note_look(session: AsyncSession, turn: Turn, seen: Seen, rhythm: Rhythm) -> None:
    """Take in what a look showed; that of a supplier that has moved meanwhile, or is gone, shows nothing.

    `down` needs a witness: another supplier that answered since this one did not. Where none of several answers, it
    is rather we who are cut off.
    """
    watch = await probes.lock_watch(session, turn.supplier_id)
    if watch is None or watch.base_url != turn.base_url:
        return
    now = await probes.read_clock(session)
    after = watch.see(seen, now, rhythm.rule)
    if after.health == Health.DOWN != watch.health and await probes.does_nobody_answer(
        session, watch, after.failing_since or now
    ):
        after = watch.see(seen, now, rhythm.rule, may_fall=False)
    if not seen.is_ok:
        after = replace(after, due_at=min(after.due_at, now + _about(rhythm.retry)))
    await probes.save_watch(session, after)


async def note_traffic(session: AsyncSession, usage: Iterable[UsageRecorded], rhythm: Rhythm) -> None:
    """Take in how routers fared; twice, late or in any order it ends the same.

    An attempt that no answer came to tells of one model: it makes the supplier due, rather than judges it.
    """
    attempts = [attempt for batch in usage for request in batch.requests for attempt in request.attempts]
    served = _latest(attempt for attempt in attempts if attempt.outcome == "ok")
    failed = _latest(attempt for attempt in attempts if _is_let_down(attempt))
    await probes.note_traffic(session, served, failed, retry=rhythm.retry)


async def list_untold(session: AsyncSession, repeat: timedelta) -> Sequence[Watch]:
    """List what the world has yet to be told of."""
    return await probes.list_untold(session, await probes.read_clock(session), repeat)


async def note_told(session: AsyncSession, told: Watch) -> None:
    """Note that the world was told this."""
    await probes.note_told(session, told, await probes.read_clock(session))


async def _turn(session: AsyncSession, watch: Watch, now: datetime) -> Turn:
    probe = await token_probes.spend_if_due(session, watch.supplier_id, now)
    return Turn(watch.supplier_id, watch.base_url, probe)


def _latest(attempts: Iterable[AttemptRecord]) -> dict[UUID, datetime]:
    found: dict[UUID, datetime] = {}
    for attempt in attempts:
        ended_at = attempt.started_at + timedelta(milliseconds=attempt.latency_ms)
        found[attempt.supplier_id] = max(ended_at, found.get(attempt.supplier_id, ended_at))
    return found


def _is_let_down(attempt: AttemptRecord) -> bool:
    has_failed = attempt.outcome in {"failed", "cut"}
    return has_failed and (attempt.status is None or attempt.status >= _SERVER_ERROR or attempt.outcome == "cut")


def _about(interval: timedelta) -> timedelta:
    return interval * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load
