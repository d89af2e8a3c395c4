"""Faults of who tells an outbox, and of who would if it could not."""

import time

from faults import causing
from faults.causing import Cause, Scene, for_a_while
from faults.rig import METRICS_EVERY_S, Rig
from running import eventually


def killed(service: str) -> Cause:
    """Kill the process of a service that tells its outbox."""

    async def cause(scene: Scene) -> float:
        return await causing.killed(await scene.rig.leader(service))(scene)

    return cause


async def follower_killed(scene: Scene) -> float:
    """Kill the catalog that does not tell."""
    return await causing.killed(*await _followers(scene.rig, "catalog"))(scene)


async def follower_frozen(scene: Scene) -> float:
    """Freeze it."""
    return await causing.frozen(*await _followers(scene.rig, "catalog"))(scene)


def frozen(service: str) -> Cause:
    """Freeze the process of a service that tells its outbox until the other one tells, and then some."""

    async def cause(scene: Scene) -> float:
        leader, [other] = await scene.rig.leader(service), await _followers(scene.rig, service)
        scene.rig.freeze(leader)
        try:
            await _has_taken_over(scene.rig, other)
        finally:
            scene.rig.thaw(leader)
        return time.monotonic()

    return cause


def cut_off(service: str) -> Cause:
    """Have the wire between PostgreSQL and the process that tells lose everything, until the other one tells."""

    async def cause(scene: Scene) -> float:
        [other] = await _followers(scene.rig, service)
        await scene.rig.wires[service, "postgres"].suffer("half-open")
        try:
            await _has_taken_over(scene.rig, other)
        finally:
            await scene.rig.mend()
        return time.monotonic()

    return cause


async def _followers(rig: Rig, service: str) -> list[str]:
    leader = await rig.leader(service)
    return [each for each in rig.like(service) if each != leader]


async def _has_taken_over(rig: Rig, other: str) -> None:
    await eventually(lambda: rig.leads(other), within_s=45, every_s=METRICS_EVERY_S)
    await for_a_while(2.0)
