"""A bucket holds what may be drawn within a minute, and fills up evenly; whoever draws more leaves it owing."""

from math import inf

MINUTE_S = 60.0


class Bucket:
    """A limit per minute; times are the loop's or any other clock that only goes forward, in seconds."""

    __slots__ = ("_at", "_left", "limit")

    def __init__(self, limit: int, now: float) -> None:
        self.limit = limit
        self._left = float(limit)
        self._at = now

    def left(self, now: float) -> float:
        """Answer what may be drawn now; below zero is owed, since others drew at the same time or use was more."""
        self._left = min(self.limit, self._left + max(now - self._at, 0.0) * self.limit / MINUTE_S)
        self._at = now
        return self._left

    def draw(self, amount: float, now: float) -> None:
        """Take the amount, be it there or not; a negative one is given back."""
        self._left = min(self.limit, self.left(now) - amount)

    def wait_s(self, amount: float, now: float) -> float:
        """Answer in how many seconds the amount may be drawn, if nobody draws before; never, where it is too much."""
        if amount > self.limit:
            return inf
        return max(amount - self.left(now), 0.0) * MINUTE_S / self.limit

    def full_in_s(self, now: float) -> float:
        """Answer in how many seconds it will be full."""
        return self.wait_s(self.limit, now)

    def resize(self, limit: int, now: float) -> None:
        """Take a new limit; what was drawn stays drawn."""
        drawn = self.limit - self.left(now)
        self.limit, self._left = limit, limit - drawn
