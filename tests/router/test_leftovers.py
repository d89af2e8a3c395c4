"""What requests leave behind: nothing that would wait for the garbage collector, which stops all others to find it."""

import gc
from collections import Counter

from router.routers import RunningRouter
from router.test_hostile_clients import a_request, one_answer, wire

REQUESTS = 20
OURS = ("modelbus.router", "httptools")


async def test_a_request_leaves_nothing_to_the_garbage_collector(router: RunningRouter) -> None:
    async with wire(router.url) as (reader, writer):
        writer.write(a_request())
        await one_answer(reader)
        gc.collect()
        gc.disable()
        try:
            for _ in range(REQUESTS):
                writer.write(a_request())
                assert (await one_answer(reader))[0].startswith(b"HTTP/1.1 200")
            left = found_by_the_collector()
        finally:
            gc.enable()

    assert not {what: count for what, count in left.items() if count >= REQUESTS}


def found_by_the_collector() -> Counter[str]:
    """Count what of ours is in circles, by type."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return Counter(type(each).__qualname__ for each in gc.garbage if str(type(each).__module__).startswith(OURS))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
