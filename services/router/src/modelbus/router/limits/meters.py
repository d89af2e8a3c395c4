"""A meter measures what one holder of limits, an access key, consumer or credential, uses at all routers together."""

from typing import Protocol
from uuid import UUID

from modelbus.router.limits.buckets import Bucket

ABSENT_AFTER_S = 3.0
"""What a router said of requests under way there is forgotten once it has been silent for that long."""


class Holder(Protocol):
    """Whoever has limits, as the catalog tells of it."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def rpm_limit(self) -> int | None:
        """Requests per minute."""

    @property
    def tpm_limit(self) -> int | None:
        """Tokens per minute."""

    @property
    def concurrency_limit(self) -> int | None:
        """Requests at the same time."""


def is_limited(holder: Holder) -> bool:
    """Tell whether there is anything to measure."""
    return not (holder.rpm_limit is holder.tpm_limit is holder.concurrency_limit is None)


class Meter:
    """Two buckets and a count; drawn from here, and by what other routers tell that they have drawn."""

    __slots__ = (
        "_elsewhere",
        "at_once",
        "holder_id",
        "inside",
        "requests",
        "tokens",
        "untold_requests",
        "untold_tokens",
    )

    def __init__(self, holder: Holder, now: float) -> None:
        self.holder_id = holder.id
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.at_once: int | None = None
        self.inside = 0
        """Requests under way here."""
        self.untold_requests = 0
        self.untold_tokens = 0
        self._elsewhere: dict[UUID, tuple[int, float]] = {}
        self.fit(holder, now)

    def fit(self, holder: Holder, now: float) -> None:
        """Take the limits as they are now."""
        self.requests = _fitting(self.requests, holder.rpm_limit, now)
        self.tokens = _fitting(self.tokens, holder.tpm_limit, now)
        self.at_once = holder.concurrency_limit

    def draw(self, requests: int, tokens: int, now: float) -> None:
        """Draw here; the others are told."""
        self.untold_requests += requests
        self.untold_tokens += tokens
        self._draw(requests, tokens, now)

    def hear(self, teller_id: UUID, requests: int, tokens: int, inside: int, now: float) -> None:
        """Draw what another router has drawn."""
        self._draw(requests, tokens, now)
        if inside:
            self._elsewhere[teller_id] = (inside, now)
        else:
            self._elsewhere.pop(teller_id, None)

    def under_way(self, now: float) -> int:
        """Count the requests under way, here and elsewhere."""
        if not self._elsewhere:
            return self.inside
        for teller_id, (_, heard_at) in list(self._elsewhere.items()):
            if now - heard_at > ABSENT_AFTER_S:
                del self._elsewhere[teller_id]
        return self.inside + sum(inside for inside, _ in self._elsewhere.values())

    def wait_s(self, now: float) -> float:
        """Answer in how many seconds there is room for a request and a token."""
        return max(bucket.wait_s(1, now) if bucket else 0.0 for bucket in (self.requests, self.tokens))

    def is_idle(self, now: float) -> bool:
        """Tell whether a new meter would measure the same."""
        buckets = [bucket for bucket in (self.requests, self.tokens) if bucket is not None]
        return not self.under_way(now) and all(bucket.left(now) >= bucket.limit for bucket in buckets)

    def _draw(self, requests: int, tokens: int, now: float) -> None:
        if self.requests is not None:
            self.requests.draw(requests, now)
        if self.tokens is not None:
            self.tokens.draw(tokens, now)


def _fitting(bucket: Bucket | None, limit: int | None, now: float) -> Bucket | None:
    if limit is None:
        return None
    if bucket is None:
        return Bucket(limit, now)
    if bucket.limit != limit:
        bucket.resize(limit, now)
    return bucket
