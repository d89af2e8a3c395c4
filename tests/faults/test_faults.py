"""Processes die and freeze, wires break, servers forget: nothing is lost or told twice, and callers are served."""

import os
from collections.abc import Iterator

import pytest

from faults.known import FAULTS, HARDEST, Fault
from faults.report import write_table
from faults.stage import Stage
from faults.trial import Seen, trial

pytestmark = pytest.mark.system

CAUSED = FAULTS if os.environ.get("FAULTS") == "all" else HARDEST


@pytest.fixture(scope="module")
def trials() -> Iterator[list[Seen]]:
    """What was seen of each fault that was survived."""
    seen: list[Seen] = []
    yield seen
    if CAUSED is FAULTS:
        write_table(seen)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", CAUSED, ids=[fault.name for fault in CAUSED])
async def test_nothing_is_lost_and_callers_are_served(stage: Stage, trials: list[Seen], fault: Fault) -> None:
    rig, ledger = await stage.on(fault.nodes)

    trials.append(await trial(rig, ledger, fault))
