"""What those who call suppliers tell of credentials that were not accepted, or had to rest."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.credentials import lock_with_supplier, save_state, set_state
from modelbus.catalog.domain.credentials import Credential, Seen, State
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.refusals import KEPT_FOR, Refusal, is_dead
from modelbus.catalog.store import credentials, refusals
from modelbus.contracts.credentials import CredentialCooled, CredentialRejected, CredentialReport
from modelbus.contracts.usage import UsageRecorded

LONGEST_OUT = timedelta(minutes=15)
"""So long one observer's word holds: then it is tried again, whatever the observer says or the supplier asked for."""
WORTH_TELLING = timedelta(seconds=10)
"""What is over sooner, or is longer by less, is left to the routers, who have told one another already."""
_SERVED = "ok"


async def hear_rejection(session: AsyncSession, told: CredentialRejected) -> None:
    """Leave a credential alone that a supplier did not accept; where two observers saw that for long, it is dead."""
    try:
        _supplier, credential = await lock_with_supplier(session, told.credential_id)
    except NotFoundError:
        return  # Deleted meanwhile.
    now = datetime.now(UTC)
    at = min(told.at, now)
    if told.generation != credential.generation or now - at > KEPT_FOR:
        return
    said = {each.observer: each for each in await refusals.list_refusals(session, credential.id)}
    refusal = Refusal(credential.id, told.observer, told.generation, told.status, at, at)
    if before := said.get(told.observer):
        if before.is_disbelieved(credential.generation, now):
            return
        refusal = before.joined(refusal)
    await refusals.save_refusal(session, refusal)
    said[told.observer] = refusal
    if is_dead(said.values(), credential.generation, now):
        await set_state(session, credential.id, Seen(State.DEAD, told.generation, _reason(told)))
    else:
        await _cool(session, credential, told, now)


async def hear_cooling(session: AsyncSession, told: CredentialCooled) -> None:
    """Leave a credential alone for as long as the supplier wants, within reason."""
    try:
        credential = await credentials.get_credential(session, told.credential_id)
    except NotFoundError:
        return  # Deleted meanwhile.
    await _cool(session, credential, told, datetime.now(UTC))


async def note_acceptance(session: AsyncSession, told: Iterable[UsageRecorded]) -> None:
    """Use credentials again that served since they were said not to be accepted."""
    accepted_at: dict[UUID, datetime] = {}
    # A router whose clock is ahead must not have observers disbelieved for as long.
    now = datetime.now(UTC)
    for attempt in (attempt for usage in told for request in usage.requests for attempt in request.attempts):
        if attempt.credential_id is not None and attempt.outcome == _SERVED:
            at = min(attempt.started_at, now)
            accepted_at[attempt.credential_id] = max(at, accepted_at.get(attempt.credential_id, at))
    for credential_id in sorted(await refusals.disprove(session, accepted_at)):
        try:
            credential = await credentials.lock_credential(session, credential_id)
        except NotFoundError:
            continue  # Deleted meanwhile.
        if credential.state == State.COOLING:
            await save_state(session, credential, credential.cooled_off())


async def forget_refusals(session: AsyncSession) -> None:
    """Delete what says nothing any more."""
    await refusals.forget_refusals(session, before=datetime.now(UTC) - KEPT_FOR)


async def _cool(session: AsyncSession, credential: Credential, told: CredentialReport, now: datetime) -> None:
    until = min(told.until, now + LONGEST_OUT)
    known = credential.state_until or now
    if until - known >= WORTH_TELLING:
        await set_state(session, credential.id, Seen(State.COOLING, told.generation, _reason(told), until))


def _reason(told: CredentialReport) -> str:
    return f"answered {told.status}"
