"""What suppliers allow each credential per minute: one without room rests until it has some, and others serve."""

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from modelbus.contracts import records
from modelbus.router.balance.standings import Refused, Standings
from modelbus.router.cache.records import Credential
from modelbus.router.limits.quotas import Quotas
from modelbus.router.limits.registry import Registry
from modelbus.simulator import Fault, Simulator
from router.routers import PROMPT, RunningRouter, running_router
from router.test_limits_shared import replicas
from router.test_usage import listening
from router.world import World
from running import ADMIN_TOKEN, eventually
from testing_bus import LocalBus


def limit(world: World, credential: records.CredentialRecord, **limits: int) -> None:
    world.seed.put(credential.model_copy(update=limits))


def limited(world: World, **limits: int) -> Credential:
    """Answer the key of acme as a router has it."""
    limit(world, world.acme_key, **limits)
    credential = world.seed.table().credentials.get(world.acme_key.id)
    assert credential is not None
    return credential


def secrets_shown(simulator: Simulator) -> list[str]:
    return [each.headers["Authorization"].removeprefix("Bearer ") for each in simulator.openai.exchanges]


async def explained(router: RunningRouter) -> list[tuple[str, str | None, str | None]]:
    asked = await router.http.post("/api/v1/explain", json=PROMPT, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    return [(each["supplier"], each["resting"], each["credential_id"]) for each in asked.json()["candidates"]]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


async def test_a_key_without_room_leaves_the_rest_to_the_next_key(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    limit(world, world.acme_key, rpm_limit=2)
    second = world.seed.credential(world.acme, "sim-openai-key-2", priority=20)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await router.complete() for _ in range(3)]
        told = await explained(router)

    assert [answer.status_code for answer in answers] == [200] * 3
    assert secrets_shown(simulator) == ["sim-openai-key-1", "sim-openai-key-1", "sim-openai-key-2"]
    assert answers[2].headers["x-modelbus-attempts"] == "1"
    assert told[0] == ("acme", None, str(second.id))


async def test_a_supplier_whose_keys_have_no_room_is_asked_after_the_others_and_that_is_explained(
    world: World, tmp_path: Path
) -> None:
    limit(world, world.acme_key, rpm_limit=1)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await router.complete() for _ in range(2)]
        told = await explained(router)

    sources = [answer.headers["x-modelbus-source"] for answer in answers]
    assert sources == [str(world.at_acme.id), str(world.at_beta.id)]
    assert told == [("beta", None, str(world.beta_key.id)), ("acme", "credential_limit", None)]


async def test_without_any_room_the_caller_hears_whose_it_is_and_when_to_come_back(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    limit(world, world.acme_key, rpm_limit=1)
    limit(world, world.beta_key, rpm_limit=2)
    async with running_router(tmp_path, world.seed) as router:
        for _ in range(3):
            assert (await router.complete()).status_code == 200
        refusal = await router.complete()
        anthropics = await router.http.post("/v1/messages", json=PROMPT | {"max_tokens": 9})

    assert (refusal.status_code, error_of(refusal)["code"]) == (429, "upstream_rate_limit_exceeded")
    assert refusal.headers["retry-after"] == "30"
    assert "beta: no room within the limits of a credential" in error_of(refusal)["message"]
    assert "acme: no room" in error_of(refusal)["message"]
    assert refusal.headers["x-modelbus-attempts"] == "0"
    assert (anthropics.status_code, error_of(anthropics)["type"]) == (429, "rate_limit_error")
    assert len(simulator.openai.exchanges) == 1


async def test_tokens_are_set_aside_and_what_was_not_used_is_given_back(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    limit(world, world.acme_key, tpm_limit=1000)
    simulator.openai.misbehave(Fault(latency_ms=300), times=1)
    async with running_router(tmp_path, world.seed) as router:
        slow = asyncio.create_task(router.complete(max_tokens=900))
        await eventually(lambda: len(simulator.openai.exchanges) == 1)
        meanwhile = await router.complete(max_tokens=900)
        first = await slow
        afterwards = await router.complete(max_tokens=900)

    sources = [each.headers["x-modelbus-source"] for each in (first, meanwhile, afterwards)]
    assert sources == [str(world.at_acme.id), str(world.at_beta.id), str(world.at_acme.id)]


async def test_a_prompt_that_never_fits_a_keys_tokens_is_told_not_to_come_again(world: World, tmp_path: Path) -> None:
    for key in (world.acme_key, world.beta_key):
        limit(world, key, tpm_limit=50)
    long = [{"role": "user", "content": "word " * 100}]
    async with running_router(tmp_path, world.seed) as router:
        refusal = await router.complete(messages=long)
        short = await router.complete()

    assert (refusal.status_code, refusal.headers["x-should-retry"]) == (429, "false")
    assert "retry-after" not in refusal.headers
    assert short.status_code == 200


async def test_a_caller_that_leaves_does_not_keep_what_was_set_aside(
    world: World, tmp_path: Path, simulator: Simulator, bus: LocalBus
) -> None:
    limit(world, world.acme_key, tpm_limit=1000)
    simulator.openai.misbehave(Fault(accept_and_hang=True), times=1)
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        asking = asyncio.create_task(router.complete(max_tokens=990))
        await eventually(lambda: len(simulator.openai.exchanges) == 1)
        asking.cancel()
        await listener.heard(1)
        answer = await router.complete(max_tokens=900)

    assert answer.headers["x-modelbus-source"] == str(world.at_acme.id)


async def test_routers_share_what_a_supplier_allows(world: World, bus: LocalBus) -> None:
    key = limited(world, rpm_limit=2)
    async with replicas(world.seed, bus.url, bus.url) as (one, two):
        Quotas(one.registry).draw(key, {})
        Quotas(two.registry).draw(key, {})
        await one.tell()
        await two.tell()

        for each in (one, two):
            await eventually(lambda each=each: Quotas(each.registry).wait_s(key, monotonic()) > 0)  # type: ignore[misc]


def test_nothing_is_measured_of_a_credential_without_limits(world: World) -> None:
    registry = Registry()
    free = limited(world)

    assert (Quotas(registry).wait_s(free, 0), Quotas(registry).draw(free, {}), len(registry)) == (0, None, 0)


def test_a_credential_without_room_is_out_and_anothers_word_of_it_counts_all_the_same(world: World) -> None:
    full = limited(world, rpm_limit=1)
    quotas = Quotas(Registry())
    standings, now = Standings(quotas.wait_s), monotonic()
    quotas.draw(full, {})

    assert (standings.is_out(full, now), standings.is_refused(full, now)) == (True, False)
    assert standings.out_for(full, now) == pytest.approx(60, abs=1)
    assert standings.hear(Refused(full, 401, is_cooled=False, out_s=300), since=now, now=now)
    assert standings.out_for(full, now) == pytest.approx(300)
