"""How exact a limit over several routers is: what comes in while they have not heard of one another, and no more."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from functools import partial
from time import monotonic
from uuid import UUID

import pytest

from modelbus.chassis.loops import repeat, stop
from modelbus.router.cache.records import AccessKey
from modelbus.router.domain.errors import RateLimitedError
from modelbus.router.limits.meters import Holder
from modelbus.router.limits.registry import Drawn, Registry
from modelbus.router.limits.sharing import TELL_EVERY_S
from router.test_limits_shared import limited, replicas
from running import eventually
from testing_bus import LocalBus

LIMIT = 600
PER_S = LIMIT / 60
CALLED_S = 2.0


class Timed(Registry):
    """Notes when it lets callers in, and how late it hears of what others did."""

    def __init__(self) -> None:
        super().__init__()
        self.let_in: list[float] = []
        self.told_since: list[float] = []
        """Of each word to the others, when the one before was taken: so old is what it tells at most."""
        self.heard_at: dict[UUID, list[float]] = defaultdict(list)
        self._taken_at = monotonic()

    async def call(self, key: AccessKey) -> None:
        """Let a caller in if there is room."""
        allowance = self.allowance_of([key])
        assert allowance is not None
        with suppress(RateLimitedError):
            allowance.enter(0, 0)
            self.let_in.append(monotonic())

    def take_untold(self) -> list[Drawn]:
        told = super().take_untold()
        since, self._taken_at = self._taken_at, monotonic()
        if told:
            self.told_since.append(since)
        return told

    def hear(self, teller_id: UUID, drawn: Drawn, holder: Holder) -> None:
        super().hear(teller_id, drawn, holder)
        self.heard_at[teller_id].append(monotonic())

    def lateness(self, teller: "Timed", teller_id: UUID) -> float:
        """Answer how old the oldest of what it heard from the other was when it came."""
        return max(at - since for at, since in zip(self.heard_at[teller_id], teller.told_since, strict=True))


async def test_three_routers_let_in_the_limit_its_refill_and_what_the_others_did_within_the_delay(
    bus: LocalBus,
) -> None:
    seed = limited(rpm_limit=LIMIT)
    [key] = seed.table().access_keys.all()
    async with replicas(seed, bus.url, bus.url, bus.url, kind=Timed) as three:
        routers = {each.sharing._id: each.registry for each in three if isinstance(each.registry, Timed)}
        began = monotonic()
        clocks = [asyncio.create_task(repeat("limits", each.sharing.tell, every_s=TELL_EVERY_S)) for each in three]
        calls = [
            asyncio.create_task(repeat("calls", partial(each.call, key), every_s=0.003)) for each in routers.values()
        ]
        await eventually(lambda: monotonic() > began + CALLED_S)
        await stop(calls)
        pairs = [(one, other) for one in routers for other in routers if one != other]
        await eventually(lambda: all(len(routers[a].heard_at[b]) == len(routers[b].told_since) for a, b in pairs))
        left = [each.left()[0] for each in three]
        await stop(clocks)

    let_in = sorted((at, which) for which, each in routers.items() for at in each.let_in)
    delay_s = max(routers[a].lateness(routers[b], b) for a, b in pairs)
    assert len(let_in) >= LIMIT
    for count, (at, which) in enumerate(let_in, 1):
        # It was let in by a router that knew of everything but what the others had done just before.
        unheard = sum(other != which and at - delay_s < before <= at for before, other in let_in)
        assert count <= LIMIT + (at - began) * PER_S + unheard
    # Nothing of it is forgotten: what was too much is owed at each of them.
    assert max(left) - min(left) <= 1
    assert left[0] == pytest.approx(LIMIT + CALLED_S * PER_S - len(let_in), abs=10)
