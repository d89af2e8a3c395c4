"""What this router has itself seen of sources: how busy, how quick and how reliable each is. It outlives tables."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from time import monotonic
from uuid import UUID

_DECAY_S = 10.0
"""About two thirds of what was seen are forgotten after that."""
_WEIGHT = 0.1
_FAILED_LONG = 5
EASING_S = 10.0
"""So long a source that has come back takes a growing share only."""
_LEAST_SHARE = 0.1
_PRUNED_FROM = 1000


@dataclass(slots=True)
class Load:
    """One source as it was seen."""

    in_flight: int = 0
    latency_s: float | None = None
    """Until an answer begins: the peak of late, which fades (as Finagle's peak EWMA does); None before the first."""
    first_token_s: float | None = None
    """Until the first token of streams, on average of late."""
    success: float = 1.0
    """Share of attempts that served, on average of late."""
    is_known: bool = False
    """Whether any attempt has ended."""
    _seen_at: float = 0.0
    _failures: int = 0
    _returned_at: float = float("-inf")

    def ended(self, *, is_served: bool, took_s: float, first_token_s: float | None, now: float) -> bool:
        """Learn from an attempt that was not cancelled; tell whether the source has come back by it."""
        self.is_known = True
        self.success += _WEIGHT * (is_served - self.success)
        if not is_served:
            self._failures += 1
            return False
        is_back = self._failures >= _FAILED_LONG
        if is_back:
            self._returned_at = now
        self._failures = 0
        self._note_latency(took_s if first_token_s is None else first_token_s, now)
        if first_token_s is not None:
            before = first_token_s if self.first_token_s is None else self.first_token_s
            self.first_token_s = before + _WEIGHT * (first_token_s - before)
        return is_back

    def expected_s(self, usual: float, now: float) -> float:
        """Answer how long an answer will take to begin; what was seen long ago fades into what is usual elsewhere."""
        if self.latency_s is None:
            return usual
        return usual + (self.latency_s - usual) * exp(-max(now - self._seen_at, 0.0) / _DECAY_S)

    def share(self, now: float) -> float:
        """Answer which share of its turns it takes: all, or less and growing after it has come back."""
        return min(max((now - self._returned_at) / EASING_S, _LEAST_SHARE), 1.0)

    def _note_latency(self, latency_s: float, now: float) -> None:
        if self.latency_s is None or latency_s >= self.latency_s:
            self.latency_s = latency_s
        else:
            kept = exp(-(now - self._seen_at) / _DECAY_S)
            self.latency_s = self.latency_s * kept + latency_s * (1 - kept)
        self._seen_at = now


class Errand:
    """One attempt under way at a source; it ends once."""

    __slots__ = ("_begun", "_load", "_loads")

    def __init__(self, loads: "Loads", load: Load) -> None:
        self._loads = loads
        self._load: Load | None = load
        self._begun = monotonic()
        load.in_flight += 1

    def end(self, *, is_served: bool | None, first_token_s: float | None = None) -> None:
        """Hear that it is over; nothing is learnt of the source where nobody knows whether it would have served."""
        load, self._load = self._load, None
        if load is None:
            return
        load.in_flight -= 1
        if is_served is not None:
            now = monotonic()
            if load.ended(is_served=is_served, took_s=now - self._begun, first_token_s=first_token_s, now=now):
                self._loads.has_returned = True


_UNSEEN = Load()


class Loads:
    """The loads of all sources that were called, as long as the catalog has them."""

    def __init__(self) -> None:
        self._by_source: dict[UUID, Load] = {}
        self._pruned_from = _PRUNED_FROM
        self.has_returned = False
        """Whether any source ever came back after it had failed for long."""

    def begin(self, source_id: UUID) -> Errand:
        """Count an attempt in."""
        load = self._by_source.get(source_id)
        if load is None:
            load = self._by_source[source_id] = Load()
        return Errand(self, load)

    def forget_gone(self, find: Callable[[UUID], object]) -> None:
        """Let go of sources that are not found any more, once there are twice as many as there were left before."""
        if len(self._by_source) >= self._pruned_from:
            self._by_source = {each: load for each, load in self._by_source.items() if find(each) is not None}
            self._pruned_from = max(2 * len(self._by_source), _PRUNED_FROM)

    def of(self, source_id: UUID) -> Load:
        """Answer what was seen; of what was never called, what a new source is taken for."""
        return self._by_source.get(source_id, _UNSEEN)
