"""Which credentials suppliers refused when they were asked for listings: kept until others are told."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from modelbus.chassis.observing import Tell
from modelbus.contracts.credentials import CredentialRejected, CredentialReport
from modelbus.sync.clients.answers import RefusedKey

OBSERVER = "sync"
LEFT_ALONE = timedelta(minutes=5)
"""As routers leave alone what they are refused with."""
_MOST_UNTOLD = 100


class Refusals:
    """What was refused, and not told yet; the oldest is forgotten where the bus is long away."""

    def __init__(self) -> None:
        self._untold: deque[CredentialRejected] = deque(maxlen=_MOST_UNTOLD)

    def note(self, supplier_id: UUID, refused: Iterable[RefusedKey]) -> None:
        """Keep what a supplier refused just now."""
        now = datetime.now(UTC)
        for key in refused:
            self._untold.append(
                CredentialRejected(
                    credential_id=key.credential_id,
                    supplier_id=supplier_id,
                    generation=key.generation,
                    status=key.status,
                    at=now,
                    until=now + LEFT_ALONE,
                    observer=OBSERVER,
                )
            )

    async def tell(self, tell: Tell[CredentialReport]) -> None:
        """Tell all of it; to be repeated.

        Raises:
            nats.errors.Error: the bus has gone in this moment; the rest is told next time.
        """
        while self._untold:
            await tell(self._untold[0])
            self._untold.popleft()
