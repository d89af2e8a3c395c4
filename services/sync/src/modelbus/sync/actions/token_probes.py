"""Tokens are spent on probes only where an administrator wants it, and counted before they are spent."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.errors import BudgetSpentError, TokenProbeNotFoundError
from modelbus.sync.domain.token_probes import Price, TokenProbe
from modelbus.sync.store import probes, token_probes
from modelbus.sync.store.known_prices import newest_applied
from modelbus.sync.store.offered import find_offered


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an administrator says of a supplier's token probes."""

    upstream_name: str
    interval_s: int
    daily_calls: int
    daily_cost: Decimal | None
    is_reasoning: bool | None


async def set_token_probe(session: AsyncSession, supplier_id: UUID, wanted: Wanted) -> TokenProbe:
    """Ask the supplier for a token from now on; what was spent today stays spent."""
    now = await probes.read_clock(session)
    held = await token_probes.lock_token_probe(session, supplier_id)
    probe = TokenProbe(
        supplier_id=supplier_id,
        upstream_name=wanted.upstream_name,
        interval_s=wanted.interval_s,
        daily_calls=wanted.daily_calls,
        daily_cost=wanted.daily_cost,
        is_reasoning=wanted.is_reasoning,
        due_at=now,
        day=_day(now) if held is None else held.day,
        calls=0 if held is None else held.calls,
        cost=Decimal(0) if held is None else held.cost,
    )
    await token_probes.save_token_probe(session, probe)
    return probe


async def end_token_probe(session: AsyncSession, supplier_id: UUID) -> None:
    """Ask the supplier for no more tokens.

    Raises:
        TokenProbeNotFoundError: it is not asked for any.
    """
    if await token_probes.lock_token_probe(session, supplier_id) is None:
        raise TokenProbeNotFoundError(supplier_id)
    await token_probes.delete_token_probe(session, supplier_id)


async def spend(session: AsyncSession, supplier_id: UUID, now: datetime) -> TokenProbe:
    """Count one call on today's budget; who dies before the call has spent it all the same.

    Raises:
        TokenProbeNotFoundError: the supplier is not asked for tokens.
        BudgetSpentError: there is not enough left today.
    """
    held = await token_probes.lock_token_probe(session, supplier_id)
    if held is None:
        raise TokenProbeNotFoundError(supplier_id)
    today = held.on(_day(now))
    price = await _price(session, today)
    if (reason := today.why_not(price)) is not None:
        raise BudgetSpentError(supplier_id, reason)
    spent = replace(today.spend(price), due_at=now + timedelta(seconds=today.interval_s))
    await token_probes.save_token_probe(session, spent)
    return spent


async def spend_if_due(session: AsyncSession, supplier_id: UUID, now: datetime) -> TokenProbe | None:
    """Count one call if it is time for it and there is something left; else None."""
    held = (await token_probes.list_token_probes(session, [supplier_id])).get(supplier_id)
    if held is None or held.due_at > now:
        return None
    try:
        return await spend(session, supplier_id, now)
    except (BudgetSpentError, TokenProbeNotFoundError):
        return None


async def note_calls(session: AsyncSession, probe: TokenProbe, calls: int) -> None:
    """Count the calls that it took beyond the first."""
    held = await token_probes.lock_token_probe(session, probe.supplier_id)
    if held is None or calls <= 1:
        return
    price = await _price(session, held)
    for _ in range(calls - 1):
        held = held.spend(price)
    await token_probes.save_token_probe(session, held)


async def _price(session: AsyncSession, probe: TokenProbe) -> Price | None:
    """Answer what the model costs by the listing that the catalog applied last; None where nobody knows."""
    run_id = await newest_applied(session, probe.supplier_id)
    offered = None if run_id is None else await find_offered(session, run_id)
    prices = {} if offered is None else offered.get(probe.upstream_name, {})
    if "input" not in prices or "output" not in prices:
        return None
    return Price(prices["input"], prices["output"])


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()
