"""What observers see decides on the health of sources, and whether they stay in service."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.domain.health import Claim, Terms, Verdict, read_health, sum_up, worse
from modelbus.catalog.domain.sources import Health
from modelbus.catalog.store import health, models
from modelbus.contracts.health import SourceHealthChanged

AT_ONCE = 500
"""Sources, or models, that one transaction settles, so that it holds none of them for long."""
_NOBODY = "nobody"


async def note_health(session: AsyncSession, seen: SourceHealthChanged) -> None:
    """Keep what an observer says; twice, late or in any order it ends the same. What follows, the clock brings."""
    # An observer whose clock is ahead must not have the last word for as long.
    now = datetime.now(UTC)
    claim = Claim(
        subject_id=seen.source_id or seen.supplier_id,
        observer=seen.observer,
        supplier_id=seen.supplier_id,
        health=read_health(seen.health),
        since=min(seen.since, now),
        observed_at=min(seen.observed_at, now),
        reason=seen.reason,
        is_settled=False,
    )
    await health.note_claim(session, claim)


async def follow_claims(session: AsyncSession, terms: Terms) -> bool:
    """Bring the sources of one supplier to what is said of them now; answer whether there may be more to do.

    What is said is looked at again each time it is repeated, so a source that a listing has brought meanwhile comes
    to its health too.
    """
    now = datetime.now(UTC)
    claims = await health.lock_unsettled(session, expired_before=now - terms.expires)
    if not claims:
        return False
    supplier_id = claims[0].supplier_id
    of_supplier, of_sources = _verdicts(claims, now, terms.expires)
    held = (of_supplier.health, of_supplier.unhealthy_at(terms.patience))
    others = await health.list_otherwise(session, supplier_id, of_sources.keys(), held, limit=AT_ONCE)
    named = await health.models_of(session, supplier_id, of_sources.keys())
    await _hold(session, {**others, **named}, dict.fromkeys(others, of_supplier) | of_sources, terms.patience)
    if len(others) < AT_ONCE:
        await health.settle_claims(session, supplier_id, expired_before=now - terms.expires)
    return True


async def take_out_unhealthy(session: AsyncSession) -> bool:
    """Settle models with a source that has been down for too long by now; answer whether there may be more of them."""
    due = await health.list_due(session, datetime.now(UTC), limit=AT_ONCE)
    await settle(session, due)
    return bool(due)


async def question_the_unclaimed(session: AsyncSession) -> None:
    """See to it that what nobody says any more is not held for ever."""
    now = datetime.now(UTC)
    for supplier_id in await health.suppliers_unclaimed(session):
        await health.note_claim(
            session, Claim(supplier_id, _NOBODY, supplier_id, Health.UNKNOWN, now, now, None, is_settled=False)
        )


def _verdicts(claims: list[Claim], now: datetime, expires: timedelta) -> tuple[Verdict, dict[UUID, Verdict]]:
    """Answer what is held of the supplier, and of each source of which more is said."""
    by_subject: dict[UUID, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_subject[claim.subject_id].append(claim)
    summed = {key: sum_up(said, now, expires) for key, said in by_subject.items()}
    of_supplier = summed.pop(claims[0].supplier_id, Verdict())
    return of_supplier, {key: worse(verdict, of_supplier) for key, verdict in summed.items()}


async def _hold(
    session: AsyncSession,
    models_of: Mapping[UUID, UUID],
    verdicts: Mapping[UUID, Verdict],
    patience: timedelta,
) -> None:
    """Give each source its health, and settle what follows; the models are locked before the sources are read."""
    if not models_of:
        return
    model_ids = set(models_of.values())
    await models.lock_models(session, model_ids)
    read = await health.living(session, models_of)
    # One that was moved to another model meanwhile waits for the next time.
    changed = [
        told
        for key, source in read.items()
        if source.model_id in model_ids
        and (told := replace(source, health=verdicts[key].health, unhealthy_at=verdicts[key].unhealthy_at(patience)))
        != source
    ]
    await settle(session, {source.model_id for source in changed}, unsaved_sources=changed)
