"""A trip is one request on its way: who asks for what, and the attempts so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from time import monotonic
from typing import Any
from uuid import UUID

from modelbus.chassis.ids import new_id
from modelbus.router.balance.choosing import Choice
from modelbus.router.balance.loads import Errand
from modelbus.router.balance.offers import Offer
from modelbus.router.cache.records import AccessKey, Credential
from modelbus.router.cache.table import Table
from modelbus.router.complexity.rulings import Ruling
from modelbus.router.domain.breakers import Trial
from modelbus.router.domain.errors import AttemptFailedError
from modelbus.router.journey.ask import Ask
from modelbus.router.journey.costs import cost_of
from modelbus.router.journey.patience import NO_WISHES
from modelbus.router.ledger.entries import AttemptEntry, RequestEntry, SkippedEntry, Tokens
from modelbus.router.limits.allowance import Allowance
from modelbus.router.naming.meanings import SPLIT

OK, FAILED, CUT, CANCELLED = "ok", "failed", "cut", "cancelled"
_SERVER_ERROR = 500
MOST_SKIPPED = 20
"""Stale places that a usage record names; a scope may hold a thousand, and each would be told with every request."""
_NO_TOKENS = Tokens()


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
    tokens: Tokens = _NO_TOKENS
    end_reason: str | None = None
    """Why the supplier ended the answer, in its own word."""
    errand: Errand | None = None
    """Tells the balancer how it went."""
    trial: Trial | None = None
    """Tells the source's breaker. What a failure says of the source is for whoever sees it to tell."""
    allowance: Allowance | None = None
    """What it took of its credential's quota."""

    def note_first_token(self) -> None:
        """The answer has begun."""
        self.first_token_ms = _ms_since(self.begun)

    def end(self, outcome: str, error: str | AttemptFailedError | None = None) -> None:
        """The attempt is over; only the first end counts."""
        if self.ended is not None:
            return
        self.ended, self.outcome, self.error = monotonic(), outcome, str(error) if error is not None else None
        if outcome == OK and self.trial is not None:
            self.trial.succeeded(self.ended)
        # What else ended it, be it a caller that does not read or an error of ours, says nothing of the source.
        self._tell(outcome == OK if outcome == OK or isinstance(error, AttemptFailedError) else None)

    def _tell(self, is_served: bool | None) -> None:  # noqa: FBT001 - True, False or nobody knows
        if self.errand is not None:
            first_token_s = None if self.first_token_ms is None else self.first_token_ms / 1000
            self.errand.end(is_served=is_served, first_token_s=first_token_s)

    @property
    def latency_ms(self) -> int:
        """How long it took, or takes."""
        return _ms_since(self.begun, self.ended)

    def entry(self) -> AttemptEntry:
        """Write the ledger's entry; whatever has not ended was cancelled."""
        self._tell(None)
        if self.trial is not None:
            self.trial.learnt_nothing()
        if self.allowance is not None:
            self.allowance.settle(self.tokens.sum)
        source = self.offer.source
        return AttemptEntry(
            id=self.id,
            number=self.number,
            model_id=source.model_id,
            source_id=source.id,
            supplier_id=source.supplier_id,
            credential_id=self.credential.id if self.credential else None,
            started_at=self.started_at,
            latency_ms=self.latency_ms,
            first_token_ms=self.first_token_ms,
            status=self.status,
            outcome=self.outcome,
            error=self.error,
            tokens=self.tokens,
            cost=cost_of(self.tokens, source.cost, is_served=self.outcome == OK),
            end_reason=self.end_reason,
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
    wishes: Mapping[str, float] = NO_WISHES
    """The caller's own time limits."""
    attempts: list[Attempt] = field(default_factory=list)
    is_cached: bool = False
    """It was answered as before, and nobody was asked."""
    choice: Choice | None = None
    """Who was to serve it, and who not."""
    ruling: Ruling | None = None
    """How hard it is, where what serves it depends on that."""
    judged_request_id: UUID | None = None
    """The router itself asks, so that this request can be judged."""
    shadowed_request_id: UUID | None = None
    """It is a copy of this request, and nobody waits for the answer."""

    def begin_attempt(self, offer: Offer, credential: Credential | None, errand: Errand | None = None) -> Attempt:
        """Begin the next attempt; without an errand the balancer does not hear of it."""
        attempt = Attempt(len(self.attempts) + 1, offer, credential, errand=errand)
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
            access_key_id=None if self.caller.is_token else self.caller.id,
            asked_for=self.ask.model,
            is_stream=self.ask.is_stream,
            started_at=self.started_at,
            latency_ms=_ms_since(self.begun),
            status=status,
            outcome=FAILED if is_failed else self.attempts[-1].outcome if self.attempts else OK,
            attempts=[attempt.entry() for attempt in self.attempts],
            catalog_revision=self.table.revision,
            consumer_id=self.caller.consumer_id,
            charge=self._charge(),
            is_cached=self.is_cached,
            skipped=_skipped(self.choice, self.id),
            level=self.ruling.level if self.ruling else None,
            judged_request_id=self.judged_request_id,
            **self._split(),
            is_shadow=self.shadowed_request_id is not None,
            shadowed_request_id=self.shadowed_request_id,
        )

    @property
    def variant(self) -> str | None:
        """The arm of a split that was asked last, or would have been."""
        if self.attempts:
            return self.attempts[-1].offer.step.variant
        return self.choice.draw.variant if self.choice is not None and self.choice.draw is not None else None

    def _split(self) -> dict[str, Any]:
        choice = self.choice
        if choice is None or choice.meaning.holder_kind != SPLIT:
            return {}
        return {
            "split_id": choice.meaning.id,
            "split_name": choice.meaning.name,
            "variant": self.variant,
            "drawn_variant": choice.draw.variant if choice.draw else None,
        }

    def _charge(self) -> Decimal | None:
        """Answer what the consumer is billed: for the attempt that served, at the model's own price if it has one."""
        if not self.attempts:
            return Decimal(0) if self.is_cached else None
        if self.judged_request_id is not None or self.shadowed_request_id is not None:
            return Decimal(0)  # It is the operator who wants to know.
        last = self.attempts[-1]
        price = self.table.prices.get(last.offer.source.model_id)
        prices = last.offer.source.cost if price is None else price.charge
        return cost_of(last.tokens, prices, is_served=last.outcome == OK)

    @property
    def used_tokens(self) -> int:
        """Count the tokens of all attempts, of every kind."""
        return sum(attempt.tokens.sum for attempt in self.attempts)


def _skipped(choice: Choice | None, request_id: UUID) -> list[SkippedEntry]:
    """Write what was passed over; of hundreds a few, and others for each request, so that all are told in time."""
    if choice is None or not choice.stale:
        return []
    stale = choice.stale
    if len(stale) > MOST_SKIPPED:
        begin = request_id.int % len(stale)
        stale = (stale + stale)[begin : begin + MOST_SKIPPED]
    kind, owner_id = choice.meaning.holder_kind, choice.meaning.holder_id
    assert kind is not None and owner_id is not None  # noqa: S101, PT018 - what is stale was referred to
    return [
        SkippedEntry(kind, owner_id, each.step.id, each.step.source_id or each.step.model_id, each.reason)
        for each in stale
    ]


def _ms_since(begun: float, ended: float | None = None) -> int:
    return round(((monotonic() if ended is None else ended) - begun) * 1000)
