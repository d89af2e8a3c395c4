"""A trip is one request on its way: who asks for what, and the attempts so far."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from uuid import UUID

from modelbus.chassis.ids import new_id
from modelbus.router.balance.choosing import Offer
from modelbus.router.cache.records import AccessKey, Credential
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import AttemptFailedError
from modelbus.router.journey.ask import Ask
from modelbus.router.journey.costs import cost_of
from modelbus.router.ledger.entries import AttemptEntry, RequestEntry, Tokens

OK, FAILED, CUT, CANCELLED = "ok", "failed", "cut", "cancelled"
_SERVER_ERROR = 500


@dataclass(slots=True)
class Attempt:
    """One call of a supplier; cancelled until it ends in another way."""

    number: int
    offer: Offer
    credential: Credential | None
    id: UUID = field(default_factory=new_id)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: float = field(default_factory=monotonic)
    ended: float | None = None
    first_token_ms: int | None = None
    status: int | None = None
    outcome: str = CANCELLED
    error: str | None = None
    tokens: Tokens = field(default_factory=Tokens)

    def note_first_token(self) -> None:
        """The answer has begun."""
        self.first_token_ms = _ms_since(self.begun)

    def end(self, outcome: str, error: str | AttemptFailedError | None = None) -> None:
        """The attempt is over; only the first end counts."""
        if self.ended is None:
            self.ended, self.outcome, self.error = monotonic(), outcome, str(error) if error is not None else None

    def entry(self) -> AttemptEntry:
        """Write the ledger's entry."""
        source = self.offer.source
        return AttemptEntry(
            id=self.id,
            number=self.number,
            model_id=source.model_id,
            source_id=source.id,
            supplier_id=source.supplier_id,
            credential_id=self.credential.id if self.credential else None,
            started_at=self.started_at,
            latency_ms=_ms_since(self.begun, self.ended),
            first_token_ms=self.first_token_ms,
            status=self.status,
            outcome=self.outcome,
            error=self.error,
            tokens=self.tokens,
            cost=cost_of(self.tokens, source.cost),
        )


@dataclass(slots=True)
class Trip:
    """One request of a caller."""

    ask: Ask
    caller: AccessKey
    table: Table
    """The catalog as it was when the request came; all attempts see the same."""
    id: UUID
    started_at: datetime
    begun: float
    attempts: list[Attempt] = field(default_factory=list)

    def begin_attempt(self, offer: Offer, credential: Credential | None) -> Attempt:
        """Begin the next attempt."""
        attempt = Attempt(len(self.attempts) + 1, offer, credential)
        self.attempts.append(attempt)
        return attempt

    def give_up(self, outcome: str, reason: str) -> None:
        """End the attempt that is under way."""
        if self.attempts:
            self.attempts[-1].end(outcome, reason)

    def entry(self, status: int) -> RequestEntry:
        """Write the ledger's entry of the request, which is over."""
        is_failed = status >= _SERVER_ERROR or not (self.attempts or status == HTTPStatus.OK)
        return RequestEntry(
            id=self.id,
            access_key_id=self.caller.id,
            asked_for=self.ask.model,
            is_stream=self.ask.is_stream,
            started_at=self.started_at,
            latency_ms=_ms_since(self.begun),
            status=status,
            outcome=FAILED if is_failed else self.attempts[-1].outcome if self.attempts else OK,
            attempts=[attempt.entry() for attempt in self.attempts],
            catalog_revision=self.table.revision,
        )


def _ms_since(begun: float, ended: float | None = None) -> int:
    return round(((monotonic() if ended is None else ended) - begun) * 1000)
