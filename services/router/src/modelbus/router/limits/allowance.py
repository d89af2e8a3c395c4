"""An allowance is what one request takes from the limits of its access key and of its consumer."""

from collections.abc import Callable, Mapping
from math import ceil, inf
from time import monotonic

from msgspec import Raw

from modelbus.router.domain.errors import RateLimitedError
from modelbus.router.limits.buckets import Bucket
from modelbus.router.limits.meters import Meter
from modelbus.router.wire.estimates import longest_answer, prompt_tokens

_LEAVE_SOON_S = 1.0
"""Nobody knows when a request ends; this is when to ask again."""


class Allowance:
    """Taken when a request enters, settled once when it has ended."""

    __slots__ = ("_is_inside", "_meters", "_note", "_reserved")

    def __init__(self, meters: tuple[Meter, ...], note: Callable[[Meter], None]) -> None:
        self._meters = meters
        self._note = note
        self._reserved = 0
        self._is_inside = False

    @property
    def counts_tokens(self) -> bool:
        """Tell whether tokens are limited."""
        return any(meter.tokens is not None for meter in self._meters)

    def enter_with(self, fields: Mapping[str, Raw]) -> None:
        """Enter with what a request of these fields is estimated to need.

        Raises:
            RateLimitedError: one of the limits does not allow it; nothing was taken.
        """
        if self.counts_tokens:
            answer = longest_answer(fields)
            self.enter(prompt_tokens(fields), 0 if answer is None else answer[1])
        else:
            self.enter(0, 0)

    def enter(self, prompt: int, answer: int) -> None:
        """Take a request, a place, and tokens: those of the prompt, and of the answer as many as the limit can hold.

        Raises:
            RateLimitedError: one of the limits does not allow it; nothing was taken.
        """
        now = monotonic()
        tokens = prompt + min(answer, max(self._most_tokens() - prompt, 0))
        for meter in self._meters:
            _demand_place(meter, now)
            _demand(meter.requests, 1, "requests", now)
            _demand(meter.tokens, tokens, "tokens", now)
        for meter in self._meters:
            meter.draw(1, tokens, now)
            meter.inside += 1
            self._note(meter)
        self._reserved, self._is_inside = tokens, True

    def settle(self, used: int) -> None:
        """Leave; what was set aside and not used is given back, and what was used beyond it is drawn."""
        if not self._is_inside:
            return
        now = monotonic()
        self._is_inside = False
        for meter in self._meters:
            meter.draw(0, used - self._reserved, now)
            meter.inside -= 1
            self._note(meter)

    def tightest(self) -> tuple[Bucket | None, Bucket | None]:
        """Answer the buckets of requests and of tokens that have the least left."""
        now = monotonic()
        return (
            _tightest([meter.requests for meter in self._meters], now),
            _tightest([meter.tokens for meter in self._meters], now),
        )

    def _most_tokens(self) -> int:
        return min(meter.tokens.limit for meter in self._meters if meter.tokens) if self.counts_tokens else 0


def _demand_place(meter: Meter, now: float) -> None:
    if meter.at_once is not None and meter.under_way(now) >= meter.at_once:
        raise RateLimitedError(f"as many requests are under way as may be at once: {meter.at_once}", _LEAVE_SOON_S)


def _demand(bucket: Bucket | None, amount: int, what: str, now: float) -> None:
    if bucket is None:
        return
    wait_s = bucket.wait_s(amount, now)
    if wait_s == inf:
        raise RateLimitedError(
            f"the request needs about {amount} {what}, more than the limit of {bucket.limit} per minute", None
        )
    if wait_s > 0:
        left = max(int(bucket.left(now)), 0)
        raise RateLimitedError(
            f"the limit of {bucket.limit} {what} per minute is reached: {left} left, {amount} needed; "
            f"try again in {ceil(wait_s)} s",
            wait_s,
        )


def _tightest(buckets: list[Bucket | None], now: float) -> Bucket | None:
    return min((bucket for bucket in buckets if bucket is not None), key=lambda one: one.left(now), default=None)
