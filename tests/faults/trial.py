"""A trial: one fault under load, from a steady state to the ledger, and what was seen of it."""

import time
from collections import Counter
from dataclasses import dataclass

from faults.causing import Scene
from faults.known import SLOW, Fault
from faults.ledger import Ledger
from faults.load import Load, under_load
from faults.rig import ROUTERS, Rig
from faults.watching import recovered, steady, watching


@dataclass(frozen=True)
class Seen:
    """What came of a fault."""

    fault: Fault
    asked: int
    refused: Counter[str]
    failed: Counter[str]
    """Calls of both routers, by what their callers saw."""
    longest_s: float
    """That somebody waited for an answer."""
    commits: int
    refused_writes: int
    worst_s: float
    """Age of the oldest change that a router, if it was not what failed, did not know of while it answered."""
    recovered_s: float


async def trial(rig: Rig, ledger: Ledger, fault: Fault, *, slower: float = 1.0) -> Seen:
    """Cause the fault, wait until all is well, and check everything.

    Raises:
        AssertionError: something was lost, or somebody was disturbed who should not have been.
    """
    if fault.leader:
        await rig.let_lead(fault.leader)
    async with under_load(rig, slower=slower) as load, watching(rig, load) as watch:
        await steady(load)
        watch.worst_s = dict.fromkeys(ROUTERS, 0.0)
        over = await fault.cause(Scene(rig, load, ledger))
        await recovered(rig, load)
        recovered_s = time.monotonic() - over
        await steady(load)
    await ledger.settle(load, fault.parks)
    disturbed = {name: calls.failed + calls.refused for name, calls in load.calls.items() if name not in fault.disturbs}
    assert sum(disturbed.values(), Counter()) == Counter(), disturbed
    worst_s = max((worst for name, worst in watch.worst_s.items() if name not in fault.disturbs), default=0.0)
    assert fault.promised_s is None or worst_s <= fault.promised_s * SLOW, worst_s
    return _seen(fault, load, worst_s, recovered_s)


def _seen(fault: Fault, load: Load, worst_s: float, recovered_s: float) -> Seen:
    calls = load.calls.values()
    return Seen(
        fault,
        asked=sum(each.asked for each in calls),
        refused=sum((each.refused for each in calls), Counter()),
        failed=sum((each.failed for each in calls), Counter()),
        longest_s=max(each.longest_s for each in calls),
        commits=load.commits_at.total(),
        refused_writes=load.refused_writes.total(),
        worst_s=worst_s,
        recovered_s=recovered_s,
    )
