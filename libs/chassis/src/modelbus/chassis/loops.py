"""Repeated work that outlives outages: they are told and waited out; programming errors stop the process."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from modelbus.chassis.logs import logger
from modelbus.chassis.outages import is_outage

LONGEST_PAUSE_S = 5.0
SETTLED_S = 1.0
"""Of a service that has just started: who waited for it comes first, and what nobody waits for begins now."""

log = logger(__name__)


async def repeat(
    name: str, work: Callable[[], Awaitable[object]], *, every_s: float, jitter: float = 0.1, after_s: float = 0.0
) -> None:
    """Do the work again and again, `every_s` seconds (give or take the jitter) after it ended; first after `after_s`.

    An outage is logged once when it begins and once when it is over; the work is tried again with a growing pause.
    """
    failures = 0
    if after_s:
        await asyncio.sleep(_about(after_s, jitter))
    while True:
        try:
            await work()
        except Exception as error:
            if not is_outage(error):
                raise
            failures += 1
            if failures == 1:
                log.warning("work is interrupted", work=name, error=repr(error))
            await asyncio.sleep(pause_s(failures))
            continue
        if failures:
            log.info("work goes on", work=name, after_failures=failures)
            failures = 0
        await asyncio.sleep(_about(every_s, jitter))


def _about(seconds: float, jitter: float) -> float:
    return seconds * random.uniform(1 - jitter, 1 + jitter)  # noqa: S311 - spreads load


def pause_s(failures: int) -> float:
    """Answer how long to wait after that many failures in a row: doubling from 0.1 s to 5 s, with jitter."""
    longest = min(LONGEST_PAUSE_S, 0.1 * 2.0 ** min(failures, 10))
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load


async def stop(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
