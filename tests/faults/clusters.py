"""Faults of three NATS nodes: one of them, most or all of them, and the ways between them."""

import time
from collections.abc import Awaitable, Callable

from faults import causing
from faults.causing import LASTS_S, Cause, Scene, for_a_while
from faults.rig import NODES, Rig
from faults.wires import Fault as Broken

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


async def every(_rig: Rig) -> tuple[str, ...]:
    """Choose all."""
    return NODES


def killed(choose: Choice) -> Cause:
    """Kill nodes."""

    async def cause(scene: Scene) -> float:
        return await causing.killed(*await choose(scene.rig))(scene)

    return cause


def frozen(choose: Choice, *, lasts_s: float = LASTS_S) -> Cause:
    """Freeze nodes."""

    async def cause(scene: Scene) -> float:
        return await causing.frozen(*await choose(scene.rig), lasts_s=lasts_s)(scene)

    return cause


def wiped(choose: Choice) -> Cause:
    """Have nodes lose everything that they stored: what others have they get back."""

    async def cause(scene: Scene) -> float:
        return await causing.wiped(*await choose(scene.rig))(scene)

    return cause


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
