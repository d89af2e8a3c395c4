"""Faults of three NATS nodes: one of them, or most of them, and the ways between them."""

import asyncio
import shutil
import signal
import time
from collections.abc import Awaitable, Callable

from faults import causing
from faults.causing import Cause, Scene, for_a_while
from faults.rig import NODES, Rig
from faults.wires import Fault as Broken
from running import eventually

APART_S = 12.0
"""So long a node is alone: the others notice after four to nine seconds, and elect another leader."""

type Choice = Callable[[Rig], Awaitable[tuple[str, ...]]]
"""Which nodes."""


async def leading(rig: Rig) -> tuple[str, ...]:
    """Choose the node that leads the catalog's stream."""
    async with rig.bus() as client:
        found = (await client.jetstream().stream_info("CATALOG")).cluster
    assert found is not None
    return (str(found.leader),)


async def following(rig: Rig) -> tuple[str, ...]:
    """Choose one that does not."""
    leader = await leading(rig)
    return tuple(each for each in NODES if each not in leader)[:1]


async def most(rig: Rig) -> tuple[str, ...]:
    """Choose the one that leads and one more: what is left is no majority, and nothing can be told."""
    return (*await leading(rig), *await following(rig))


def killed(choose: Choice) -> Cause:
    """Kill nodes."""

    async def cause(scene: Scene) -> float:
        return await causing.killed(*await choose(scene.rig))(scene)

    return cause


def frozen(choose: Choice) -> Cause:
    """Freeze nodes."""

    async def cause(scene: Scene) -> float:
        return await causing.frozen(*await choose(scene.rig))(scene)

    return cause


async def wiped(scene: Scene) -> float:
    """Kill the node that leads, and have it lose everything that it stored: the others have it all."""
    rig, [node], began = scene.rig, await leading(scene.rig), time.monotonic()
    before = rig.endpoints["pids"][node]
    rig.signal(node, signal.SIGKILL)
    await asyncio.to_thread(shutil.rmtree, rig.home / node / "jetstream")
    await eventually(lambda: rig.endpoints["pids"][node] != before, within_s=30)
    return began


def cut_off(how: Broken) -> Cause:
    """Let the wires between the node that leads and both others fail."""

    async def cause(scene: Scene) -> float:
        [node] = await leading(scene.rig)
        for wire in scene.rig.wires_of(node):
            await wire.suffer(how)
        try:
            await for_a_while(APART_S)
        finally:
            await scene.rig.mend()
        return time.monotonic()

    return cause
