"""Requests that are sent twice under one `Idempotency-Key` reach a supplier once."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelbus.chassis.ids import new_id
from modelbus.router.domain.errors import IdempotencyKeyReusedError
from modelbus.router.journey.reply import Reply
from modelbus.router.memo.repeats import KEPT_S, Claim, Repeats
from modelbus.simulator import Fault, Simulator
from router.routers import KEY, PROMPT, RunningRouter, running_router
from router.test_usage import listening
from router.world import World
from running import eventually
from testing_bus import LocalBus


async def ask(router: RunningRouter, once: str = "k-1", key: str = KEY, **fields: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": once}
    return await router.http.post("/v1/chat/completions", json=PROMPT | fields, headers=headers)


def is_replayed(answer: httpx.Response) -> bool:
    return "idempotency-replayed" in answer.headers


async def test_a_repeated_request_is_answered_as_before_and_costs_nothing(
    world: World, tmp_path: Path, simulator: Simulator, bus: LocalBus
) -> None:
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        first, second = await ask(router), await ask(router)
        told = await listener.heard(2)

    assert (first.status_code, second.status_code, second.content) == (200, 200, first.content)
    assert (is_replayed(first), is_replayed(second)) == (False, True)
    assert second.headers["x-modelbus-source"] == first.headers["x-modelbus-source"]
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(simulator.openai.exchanges) == 1
    assert [(one.is_cached, len(one.attempts)) for one in told] == [(False, 1), (True, 0)]


async def test_the_later_of_two_waits_for_the_earlier(world: World, tmp_path: Path, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(latency_ms=200), times=1)
    async with running_router(tmp_path, world.seed) as router:
        answers = await asyncio.gather(*(ask(router) for _ in range(5)))

    assert {answer.content for answer in answers} == {answers[0].content}
    assert sorted(map(is_replayed, answers)) == [False, True, True, True, True]
    assert len(simulator.openai.exchanges) == 1


async def test_where_the_earlier_left_or_failed_the_later_is_carried(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(latency_ms=20_000), times=1)
    async with running_router(tmp_path, world.seed) as router:
        leaving = asyncio.create_task(ask(router))
        await eventually(lambda: simulator.openai.exchanges)
        waiting = asyncio.create_task(ask(router))
        leaving.cancel()
        carried = await waiting
        for provider in (simulator.openai, simulator.openrouter):
            provider.misbehave(Fault(status=500))
        failed = await ask(router, "k-2")
        simulator.openai.reset()
        again = await ask(router, "k-2")
        simulator.openai.misbehave(Fault(status=400), times=1)
        complained = [await ask(router, "k-3") for _ in range(2)]

    assert (carried.status_code, is_replayed(carried)) == (200, False)
    assert (failed.status_code, again.status_code, is_replayed(again)) == (502, 200, False)
    assert [(one.status_code, is_replayed(one)) for one in complained] == [(400, False), (200, False)]


async def test_another_request_under_the_same_key_is_refused_and_another_callers_key_is_its_own(
    world: World, tmp_path: Path
) -> None:
    world.seed.key("mb-other")
    async with running_router(tmp_path, world.seed) as router:
        await ask(router)
        refused = await ask(router, temperature=1)
        elsewhere = await router.http.post(
            "/v1/messages", json=PROMPT | {"max_tokens": 5}, headers={"Idempotency-Key": "k-1"}
        )
        others = await ask(router, key="mb-other")

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert elsewhere.status_code == 422
    assert (others.status_code, is_replayed(others)) == (200, False)


@pytest.mark.parametrize("once", ["", "x" * 256, "a\tb"])
async def test_what_is_no_key_is_refused(router: RunningRouter, once: str) -> None:
    answer = await ask(router, once)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "idempotency_key_malformed")


async def test_streams_are_carried_each_time(router: RunningRouter, simulator: Simulator) -> None:
    answers = [await ask(router, stream=True) for _ in range(2)]

    assert not any(map(is_replayed, answers))
    assert len(simulator.openai.exchanges) == 2


async def test_answers_are_kept_for_a_while_and_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    now, carried, caller = 0.0, list[bytes](), new_id()
    monkeypatch.setattr("modelbus.router.memo.repeats.monotonic", lambda: now)
    repeats = Repeats(most_bytes=20_000)

    async def once(key: bytes, size: int = 100) -> bool:
        async def carry() -> Reply:
            carried.append(key)
            return Reply(200, b"x" * size)

        return (await repeats.once(Claim.of(caller, key, b"body"), carry))[1]

    assert [await once(b"a"), await once(b"a")] == [False, True]
    now = KEPT_S
    assert [await once(b"a"), await once(b"a")] == [False, True]
    assert [await once(b"large", 2000), await once(b"large", 2000)] == [False, False]
    for number in range(20):
        await once(b"%d" % number)
    assert [await once(b"19"), await once(b"a")] == [True, False]
    with pytest.raises(IdempotencyKeyReusedError):
        await repeats.once(Claim.of(caller, b"19", b"another"), lambda: once(b"never"))  # type: ignore[arg-type,return-value]
    assert b"never" not in carried
