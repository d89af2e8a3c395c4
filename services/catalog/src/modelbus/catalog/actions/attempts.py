"""How often signing in may fail, for one account and from one address, before it has to wait."""

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.failures import audit_failure
from modelbus.catalog.domain.identity_errors import TooManyAttemptsError
from modelbus.catalog.store import attempts
from modelbus.chassis.database import Database

WINDOW = timedelta(minutes=5)
FOR_AN_ACCOUNT = 10
FROM_AN_ADDRESS = 50
"""More than for an account: many people may share one address."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to prove who one is."""

    action: str
    name: str
    address: str

    @property
    def account(self) -> str:
        """What is counted for the account; hashed, as a password may have been typed as a name."""
        return f"account:{hashlib.sha256(self.name.encode()).hexdigest()}"

    @property
    def origin(self) -> str:
        """What is counted for the address."""
        return f"address:{self.address}"


async def count_attempt(database: Database, attempt: Attempt) -> None:
    """Count the attempt before it is looked at, so that many at the same time are no way around the limit.

    Raises:
        TooManyAttemptsError: there were too many in this window.
    """
    now = datetime.now(UTC)
    wait, reasons = 0, []
    async with database.transaction() as session:
        # Always in this order, so that two attempts never wait for one another.
        for what, limit in ((attempt.origin, FROM_AN_ADDRESS), (attempt.account, FOR_AN_ACCOUNT)):
            count, since = await attempts.count_attempt(session, what, now, WINDOW)
            if count > limit:
                wait = max(wait, math.ceil((since + WINDOW - now).total_seconds()), 1)
            if count == limit + 1:
                reasons.append(what.partition(":")[0])
    for reason in reasons:
        # Once in a window: whoever goes on trying must not be able to fill the log.
        await audit_failure(database, attempt.action, f"too_many_attempts_{reason}", by=None, address=attempt.address)
    if wait:
        raise TooManyAttemptsError(wait)


async def forgive_attempt(session: AsyncSession, attempt: Attempt) -> None:
    """Take back what was counted, as the attempt was a good one."""
    await attempts.uncount_attempt(session, attempt.origin)
    await attempts.forget_attempts(session, attempt.account)
