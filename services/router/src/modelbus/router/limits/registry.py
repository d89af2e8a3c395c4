"""Every meter of this router, and what the other routers have not been told yet."""

from collections.abc import Iterable
from time import monotonic
from uuid import UUID

import msgspec

from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.meters import Holder, Meter, is_limited


class Drawn(msgspec.Struct, frozen=True, gc=False):
    """As `contracts.limits.DrawnRecord`."""

    holder_id: UUID
    requests: int
    tokens: int
    inside: int


class Registry:
    """Makes a meter when a holder is first heard of, and forgets it once it has nothing to remember."""

    def __init__(self) -> None:
        self._meters: dict[UUID, Meter] = {}
        self._untold: dict[UUID, Meter] = {}

    def __len__(self) -> int:
        return len(self._meters)

    def allowance_of(self, holders: Iterable[Holder]) -> Allowance | None:
        """Answer what a caller may take; None where nothing limits it."""
        now = monotonic()
        meters = tuple(self._meter(holder, now) for holder in holders if is_limited(holder))
        return Allowance(meters, self._note) if meters else None

    def wait_s(self, holder: Holder, now: float) -> float:
        """Answer in how many seconds the holder has room for a request and a token."""
        return self._meter(holder, now).wait_s(now)

    def hear(self, teller_id: UUID, drawn: Drawn, holder: Holder) -> None:
        """Draw what another router has drawn for the holder."""
        if is_limited(holder):
            now = monotonic()
            self._meter(holder, now).hear(teller_id, drawn.requests, drawn.tokens, drawn.inside, now)

    def take_untold(self) -> list[Drawn]:
        """Answer what the others must hear, which is told with that."""
        untold, self._untold = self._untold, {}
        return [_told(meter) for meter in untold.values()]

    def repeat_inside(self) -> None:
        """Let the others hear again who has requests under way here, before they take this router for gone."""
        for meter in self._meters.values():
            if meter.inside and meter.at_once is not None:
                self._note(meter)

    def forget_idle(self) -> None:
        """Let go of meters that measure nothing."""
        now = monotonic()
        for holder_id in [each.holder_id for each in self._meters.values() if each.is_idle(now)]:
            if holder_id not in self._untold:
                del self._meters[holder_id]

    def _meter(self, holder: Holder, now: float) -> Meter:
        meter = self._meters.get(holder.id)
        if meter is None:
            meter = self._meters[holder.id] = Meter(holder, now)
        else:
            meter.fit(holder, now)
        return meter

    def _note(self, meter: Meter) -> None:
        self._untold[meter.holder_id] = meter


def _told(meter: Meter) -> Drawn:
    drawn = Drawn(meter.holder_id, meter.untold_requests, meter.untold_tokens, meter.inside)
    meter.untold_requests = meter.untold_tokens = 0
    return drawn
