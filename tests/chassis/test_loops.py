import asyncio

import pytest

from modelbus.chassis.loops import pause_s, repeat, stop
from running import eventually


async def test_repeated_work_goes_on_after_outages() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        if len(done) < 4:
            raise ConnectionResetError

    task = asyncio.create_task(repeat("test", work, every_s=0.01))
    await eventually(lambda: len(done) > 6)
    await stop([task])


async def test_a_programming_error_ends_repeated_work() -> None:
    async def work() -> None:
        raise KeyError("mistake")

    with pytest.raises(KeyError, match="mistake"):
        await repeat("test", work, every_s=0.01)


def test_pauses_grow_to_a_bound() -> None:
    pauses = [pause_s(failures) for failures in range(1, 30)]

    assert pauses[0] <= 0.2
    assert all(0.05 <= pause <= 5.0 for pause in pauses)
    assert min(pauses[8:]) >= 2.5
