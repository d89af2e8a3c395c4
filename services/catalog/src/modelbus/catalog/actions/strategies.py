"""What can be done with cost strategies."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.references import NO_CONSENT, Consent, Departure, Notice, TargetKind
from modelbus.catalog.domain.strategies import Ranking, Strategy, rank
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import offers, strategies
from modelbus.catalog.store.strategies import StrategyRow
from modelbus.chassis.ids import new_id


async def create_strategy(session: AsyncSession, fields: dict[str, Any]) -> Strategy:
    """Add a cost strategy.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: one of its models does not exist.
        NoWeightError: every weight is 0.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    strategy = Strategy(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None).checked()
    await hold_models(session, each_of("model_ids", strategy.model_ids or []))
    await strategies.insert_strategy(session, strategy)
    await keep(session, None, strategy)
    return strategy


async def change_strategy(
    session: AsyncSession, strategy_id: UUID, fields: dict[str, Any], consent: Consent = NO_CONSENT
) -> Strategy:
    """Change the given fields; a change that changes nothing tells nothing.

    Raises:
        StillReferencedError: it goes out of service, and something refers to it.
    """
    # The models before the strategy, as who replaces a model everywhere takes them.
    await hold_models(session, each_of("model_ids", fields.get("model_ids") or []))
    strategy = await strategies.lock_strategy(session, strategy_id)
    expect(session, strategy)
    if fields.get("name", strategy.name) != strategy.name:
        await _refuse_taken_name(session, fields["name"])
    changed = replace(strategy, **fields).checked()
    if strategy.is_active and not changed.is_active:
        await impact.refuse_breaking(session, Departure.disabling(TargetKind.STRATEGY, strategy_id), consent)
    return await save_changed(session, strategy, changed)


async def delete_strategy(session: AsyncSession, strategy_id: UUID, consent: Consent = NO_CONSENT) -> None:
    """Take the cost strategy out of the catalog; its name may be used again.

    Raises:
        StillReferencedError: something refers to it.
    """
    strategy = await strategies.lock_strategy(session, strategy_id)
    expect(session, strategy)
    await impact.refuse_breaking(session, Departure.deleting(TargetKind.STRATEGY, strategy_id), consent)
    await strategies.save_strategy(session, stamp(replace(strategy, deleted_at=datetime.now(UTC))))
    await keep(session, strategy, None)


async def judged_strategy(session: AsyncSession, strategy_id: UUID) -> StrategyRow:
    """Read a cost strategy with all that somebody should look at: also whether its caps let anything through."""
    found = await strategies.show_strategy(session, strategy_id)
    if found.has_price_caps and not await offers.is_any_within(session, found):
        notice = Notice("max_input_price", "no_candidate", "nothing that is available right now meets the caps")
        return replace(found, warnings=[*found.warnings, notice])
    return found


async def rank_candidates(session: AsyncSession, strategy_id: UUID, model_type: str | None) -> Ranking:
    """Rank what the cost strategy would choose among right now."""
    strategy = await strategies.get_strategy(session, strategy_id)
    return rank(strategy, await offers.offers_of(session, strategy.model_ids, model_type))


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await strategies.find_strategy(session, name) is not None:
        raise AlreadyExistsError("cost strategy", "name", name)
