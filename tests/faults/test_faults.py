"""Processes die and freeze, wires break, servers forget: nothing is lost or told twice, and callers are served.

All of it takes 25 minutes: `make faults`. Whenever tests run, the soak causes as many as it has time for.
"""

import os
import sys
from collections.abc import Iterator

import pytest

from faults.known import FAULTS, Fault
from faults.report import write_table
from faults.stage import Stage
from faults.trial import Seen, trial

pytestmark = [
    pytest.mark.system,
    # The client of NATS drops a connection, without closing it, that a server ends while they greet.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.skipif(os.environ.get("FAULTS") != "all", reason="it takes 25 minutes: make faults"),
]


@pytest.fixture(scope="module")
def trials() -> Iterator[list[Seen]]:
    """What was seen of each fault that was survived."""
    seen: list[Seen] = []
    yield seen
    write_table(seen)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
async def test_nothing_is_lost_and_callers_are_served(stage: Stage, trials: list[Seen], fault: Fault) -> None:
    if fault.is_long and sys.platform != "linux":
        pytest.skip("Linux alone can cut wires")
    rig, ledger = await stage.on(fault.shape)

    trials.append(await trial(rig, ledger, fault))
