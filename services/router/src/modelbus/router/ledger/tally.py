"""What the router counts of its traffic: plain sums, made as entries come, put into words only when somebody asks."""

from collections import Counter, defaultdict
from decimal import Decimal
from uuid import UUID

from modelbus.chassis.metrics import Spread
from modelbus.router.ledger.entries import AttemptEntry, RequestEntry

LATENCY_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
FIRST_TOKEN_BOUNDS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2)
KINDS = ("input", "cached_input", "output", "reasoning", "cache_write")


class Tally:
    """Sums since the start; by supplier at the finest, for models are without end."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int, bool]] = Counter()
        """By outcome, status, and whether it was a stream."""
        self.request_seconds = {is_stream: Spread(LATENCY_BOUNDS_S) for is_stream in (False, True)}
        self.failovers = 0
        """Requests that took more than one attempt."""
        self.cached = 0
        self.shadows: Counter[str] = Counter()
        """Copies of requests, by outcome; they are no requests of callers, but suppliers bill them."""
        self.attempts: Counter[tuple[UUID, str]] = Counter()
        """By supplier and outcome."""
        self.attempt_seconds: dict[UUID, Spread] = defaultdict(lambda: Spread(LATENCY_BOUNDS_S))
        self.first_token_seconds: dict[UUID, Spread] = defaultdict(lambda: Spread(FIRST_TOKEN_BOUNDS_S))
        self.tokens: Counter[tuple[UUID, str]] = Counter()
        """By supplier and kind."""
        self.cost: defaultdict[UUID, Decimal] = defaultdict(Decimal)
        """USD that suppliers bill, where it is known."""
        self.charge = Decimal(0)
        """USD that consumers are charged, where it is known."""

    def note(self, entry: RequestEntry) -> None:
        """Count a request that has ended, with its attempts."""
        for attempt in entry.attempts:
            self._note_attempt(attempt)
        if entry.is_shadow:
            self.shadows[entry.outcome] += 1
            return
        self.requests[entry.outcome, entry.status, entry.is_stream] += 1
        self.request_seconds[entry.is_stream].observe(entry.latency_ms / 1000)
        self.failovers += len(entry.attempts) > 1
        self.cached += entry.is_cached
        if entry.charge is not None:
            self.charge += entry.charge

    def _note_attempt(self, attempt: AttemptEntry) -> None:
        supplier_id = attempt.supplier_id
        self.attempts[supplier_id, attempt.outcome] += 1
        self.attempt_seconds[supplier_id].observe(attempt.latency_ms / 1000)
        if attempt.first_token_ms is not None:
            self.first_token_seconds[supplier_id].observe(attempt.first_token_ms / 1000)
        if attempt.cost is not None:
            self.cost[supplier_id] += attempt.cost
        for kind in KINDS:
            if count := getattr(attempt.tokens, kind):
                self.tokens[supplier_id, kind] += count
