"""Circuit breakers: a source that keeps failing rests, and comes back by a single request that probes it."""

from dataclasses import dataclass
from math import inf
from uuid import UUID

WINDOW_S = 30.0
"""Failures count together for so long."""
LEAST_FAILURES = 5
FIRST_REST_S = 5.0
LONGEST_REST_S = 120.0
PROBE_S = 10.0
"""A probe keeps the others away for no longer than that: a stream may last for minutes."""
_FORGOTTEN_S = 600.0
_PRUNED_FROM = 1000

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """How the breaker of one source stands; sources without failures have none."""

    source_id: UUID
    state: str
    """`closed`: failed lately, and is called as usual; `open`: rests; `half_open`: is, or waits to be, probed."""
    failures: int
    """Within the present window."""
    reason: str
    """What failed last."""
    retry_in_s: float
    """Until it may be probed."""


@dataclass(slots=True)
class _Breaker:
    counted_until: float
    calls: int = 0
    failures: int = 0
    reason: str = ""
    is_open: bool = False
    rest_s: float = FIRST_REST_S
    opened_at: float = 0.0
    rests_until: float = 0.0
    probe: "Trial | None" = None
    """The last call that was let through to see whether the source is well, and has not ended."""
    probed_until: float = 0.0

    def is_resting(self, now: float) -> bool:
        return self.is_open and now < (self.rests_until if self.probe is None else self.probed_until)

    def open(self, rest_s: float, now: float) -> None:
        self.is_open, self.probe, self.opened_at = True, None, now
        self.rest_s = min(rest_s, LONGEST_REST_S)
        self.rests_until = now + self.rest_s


class Trial:
    """One call of a source, of which its breaker hears once how it went; only the first word counts."""

    __slots__ = ("_begun", "_breakers", "_is_over", "_source_id")

    def __init__(self, breakers: "Breakers", source_id: UUID, begun: float) -> None:
        self._breakers = breakers
        self._source_id = source_id
        self._begun = begun
        self._is_over = False

    def succeeded(self, now: float) -> None:
        """Tell that it was answered as it should be, to the end."""
        if not self._is_over:
            self._is_over = True
            self._breakers.succeeded(self._source_id, now, self._begun)

    def failed(self, now: float, reason: str) -> None:
        """Tell that it was not."""
        if not self._is_over:
            self._is_over = True
            self._breakers.failed(self._source_id, now, reason, self)

    def learnt_nothing(self) -> None:
        """Tell that it ended without a word on the source, so that another may probe it."""
        if not self._is_over:
            self._is_over = True
            self._breakers.learnt_nothing(self._source_id, self)


class Breakers:
    """Knows the sources that failed lately; all others cost one look into an empty mapping."""

    def __init__(self) -> None:
        self._by_source: dict[UUID, _Breaker] = {}

    def is_resting(self, source_id: UUID, now: float) -> bool:
        """Tell whether others should be asked before it."""
        breaker = self._by_source.get(source_id)
        return breaker is not None and breaker.is_resting(now)

    def begin(self, source_id: UUID, now: float) -> Trial:
        """Hear that a request is about to call it: the first one after the rest is the probe."""
        trial, breaker = Trial(self, source_id, now), self._by_source.get(source_id)
        if breaker is not None and breaker.is_open and not breaker.is_resting(now):
            breaker.probe, breaker.probed_until = trial, now + PROBE_S
        return trial

    def succeeded(self, source_id: UUID, now: float, begun: float = inf) -> None:
        """Hear that it answered as it should; what began before it opened, and took until now, tells nothing new."""
        breaker = self._by_source.get(source_id)
        if breaker is None:
            return
        breaker.calls += 1
        if begun >= breaker.opened_at if breaker.is_open else now >= breaker.counted_until:
            del self._by_source[source_id]

    def failed(self, source_id: UUID, now: float, reason: str, trial: Trial | None = None) -> None:
        """Hear that it did not; after some failures that outnumber what went well, it rests."""
        breaker = self._by_source.get(source_id)
        if breaker is None:
            if len(self._by_source) >= _PRUNED_FROM:
                self._prune(now)
            breaker = self._by_source[source_id] = _Breaker(now + WINDOW_S)
        elif not breaker.is_open and now >= breaker.counted_until:
            breaker.counted_until, breaker.calls, breaker.failures = now + WINDOW_S, 0, 0
        breaker.calls += 1
        breaker.failures += 1
        breaker.reason = reason
        if breaker.is_open:
            # Only a probe tells something new: what was under way when it opened, or had nobody else, does not.
            if breaker.probe is not None and breaker.probe is trial:
                breaker.open(breaker.rest_s * 2, now)
        elif breaker.failures >= LEAST_FAILURES and 2 * breaker.failures > breaker.calls:
            breaker.open(FIRST_REST_S, now)

    def learnt_nothing(self, source_id: UUID, trial: Trial) -> None:
        """Hear that a call ended without telling anything of the source."""
        breaker = self._by_source.get(source_id)
        if breaker is not None and breaker.probe is trial:
            breaker.probe = None

    def states(self, now: float) -> list[BreakerState]:
        """Answer how each stands that has failed within the window or rests."""
        self._prune(now)
        return [
            BreakerState(
                source_id,
                _state(breaker, now),
                breaker.failures,
                breaker.reason,
                max(breaker.rests_until - now, 0.0) if breaker.is_open else 0.0,
            )
            for source_id, breaker in self._by_source.items()
        ]

    def _prune(self, now: float) -> None:
        for source_id in [each for each, one in self._by_source.items() if _is_past(one, now)]:
            del self._by_source[source_id]


def _is_past(breaker: _Breaker, now: float) -> bool:
    # A source that nobody has asked for so long since it rested may be gone.
    return now >= (breaker.rests_until + _FORGOTTEN_S if breaker.is_open else breaker.counted_until)


def _state(breaker: _Breaker, now: float) -> str:
    if not breaker.is_open:
        return CLOSED
    return OPEN if now < breaker.rests_until else HALF_OPEN
