"""Circuit breakers: when a source rests, how it comes back, and what an administrator sees of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest

from modelbus.router.balance.loads import Loads
from modelbus.router.domain import breakers as breaking
from modelbus.router.domain.breakers import (
    FIRST_REST_S,
    LEAST_FAILURES,
    LONGEST_REST_S,
    PROBE_S,
    WINDOW_S,
    Breakers,
)
from modelbus.router.domain.errors import LostError
from modelbus.router.journey.trip import Attempt
from modelbus.simulator import Fault, Simulator
from router.routers import PROMPT, RunningRouter, running_router
from router.world import World
from running import ADMIN_TOKEN, eventually

SOURCE = uuid4()


def opened(at: float = 0.0) -> Breakers:
    breakers = Breakers()
    for _ in range(LEAST_FAILURES):
        breakers.failed(SOURCE, at, "answered 500")
    return breakers


def state(breakers: Breakers, now: float) -> str | None:
    return next((each.state for each in breakers.states(now)), None)


def test_a_source_rests_only_after_failures_enough() -> None:
    breakers = Breakers()
    for _ in range(LEAST_FAILURES - 1):
        breakers.failed(SOURCE, 0, "answered 500")
        assert not breakers.is_resting(SOURCE, 0)
    breakers.failed(SOURCE, 0, "answered 500")

    assert breakers.is_resting(SOURCE, 0)
    assert state(breakers, 0) == "open"


def test_a_source_that_mostly_serves_does_not_rest() -> None:
    breakers = Breakers()
    for _ in range(50):
        breakers.succeeded(SOURCE, 0)
        breakers.failed(SOURCE, 0, "answered 500")
        breakers.succeeded(SOURCE, 0)

    assert not breakers.is_resting(SOURCE, 0)
    assert state(breakers, 0) == "closed"


def test_failures_of_long_ago_do_not_count() -> None:
    breakers = Breakers()
    for time in range(LEAST_FAILURES * 3):
        breakers.failed(SOURCE, time * WINDOW_S, "answered 500")

    assert not breakers.is_resting(SOURCE, LEAST_FAILURES * 3 * WINDOW_S)


def test_after_the_rest_one_request_probes_and_its_success_brings_the_source_back() -> None:
    breakers = opened()
    assert breakers.is_resting(SOURCE, FIRST_REST_S - 0.1)
    assert not breakers.is_resting(SOURCE, FIRST_REST_S)
    assert state(breakers, FIRST_REST_S) == "half_open"

    probe = breakers.begin(SOURCE, FIRST_REST_S)
    assert breakers.is_resting(SOURCE, FIRST_REST_S), "others wait for the probe"
    probe.succeeded(FIRST_REST_S + 1)

    assert state(breakers, FIRST_REST_S + 1) is None
    assert not breakers.is_resting(SOURCE, FIRST_REST_S + 1)


def test_each_probe_that_fails_doubles_the_rest_to_a_limit() -> None:
    breakers, now, rests = opened(), 0.0, []
    for _ in range(8):
        [shown] = breakers.states(now)
        rests.append(shown.retry_in_s)
        now += shown.retry_in_s
        breakers.begin(SOURCE, now).failed(now, "answered 500")

    assert rests[:4] == [FIRST_REST_S * 2**n for n in range(4)]
    assert rests[-1] == LONGEST_REST_S


def test_what_fails_while_a_source_rests_does_not_lengthen_the_rest() -> None:
    breakers = opened()
    for _ in range(10):
        breakers.failed(SOURCE, 1, "answered 500")

    assert not breakers.is_resting(SOURCE, FIRST_REST_S)


def test_a_probe_that_tells_nothing_leaves_the_next_request_to_probe() -> None:
    breakers = opened()
    probe = breakers.begin(SOURCE, FIRST_REST_S)
    beside = breakers.begin(SOURCE, FIRST_REST_S)

    beside.learnt_nothing()
    assert breakers.is_resting(SOURCE, FIRST_REST_S), "another's end is not the probe's"
    probe.learnt_nothing()

    assert not breakers.is_resting(SOURCE, FIRST_REST_S)


def test_a_probe_that_takes_long_does_not_keep_the_others_away_for_ever() -> None:
    breakers, later = opened(), FIRST_REST_S + PROBE_S
    slow = breakers.begin(SOURCE, FIRST_REST_S)
    assert breakers.is_resting(SOURCE, later - 0.1)
    assert not breakers.is_resting(SOURCE, later)
    next_one = breakers.begin(SOURCE, later)

    slow.failed(later, "stream cut")
    assert state(breakers, later) == "half_open", "the newer probe decides"
    next_one.failed(later, "stream cut")

    [shown] = breakers.states(later)
    assert (shown.state, shown.retry_in_s) == ("open", 2 * FIRST_REST_S)


def test_what_began_before_a_source_rested_and_ends_well_does_not_bring_it_back() -> None:
    breakers = Breakers()
    long_stream = breakers.begin(SOURCE, 0)
    for _ in range(LEAST_FAILURES):
        breakers.failed(SOURCE, 1, "stream cut")

    long_stream.succeeded(2)
    assert state(breakers, 2) == "open"
    breakers.begin(SOURCE, 2).succeeded(3)

    assert state(breakers, 3) is None, "one that nobody else could serve, and that was served"


def test_only_the_first_word_on_a_call_counts() -> None:
    breakers = opened()
    probe = breakers.begin(SOURCE, FIRST_REST_S)

    probe.failed(FIRST_REST_S, "stream cut")
    probe.succeeded(FIRST_REST_S)
    probe.failed(FIRST_REST_S, "stream cut")
    probe.learnt_nothing()

    [shown] = breakers.states(FIRST_REST_S)
    assert (shown.failures, shown.retry_in_s) == (LEAST_FAILURES + 1, 2 * FIRST_REST_S)


def test_what_is_the_callers_or_our_own_fault_says_nothing_of_the_source() -> None:
    loads = Loads()
    for error in ("the caller did not read on in time", "internal error"):
        Attempt(1, cast("Any", None), None, errand=loads.begin(SOURCE)).end("cut", error)
    assert (loads.of(SOURCE).success, loads.of(SOURCE).in_flight) == (1.0, 0)

    Attempt(1, cast("Any", None), None, errand=loads.begin(SOURCE)).end("cut", LostError("stream cut"))

    assert loads.of(SOURCE).success < 1


async def shown_by(router: RunningRouter) -> list[dict[str, Any]]:
    answer = await router.http.get("/api/v1/breakers", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["breakers"]
    return found


async def test_a_resting_source_is_not_asked_until_a_single_probe_finds_it_well(
    router: RunningRouter, simulator: Simulator, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaking, "FIRST_REST_S", 0.3)
    simulator.openai.misbehave(Fault(status=500))
    for _ in range(LEAST_FAILURES):
        await router.complete()
    [shown] = await shown_by(router)
    assert (shown["source_id"], shown["supplier"], shown["state"]) == (str(world.at_acme.id), "acme", "open")
    assert (shown["failures"], shown["reason"]) == (LEAST_FAILURES, "answered 500")
    assert 0 < shown["retry_in_s"] <= 0.3

    simulator.openai.behave()
    resting = await router.complete()
    assert (resting.headers["x-modelbus-source"], resting.headers["x-modelbus-attempts"]) == (
        str(world.at_beta.id),
        "1",
    )
    simulator.openai.misbehave(Fault(latency_ms=800))
    simulator.openai.forget_exchanges()

    async def is_half_open() -> bool:
        return bool((await shown_by(router))[0]["state"] == "half_open")

    await eventually(is_half_open)
    answers = await asyncio.gather(*(router.complete() for _ in range(5)))
    assert len(simulator.openai.exchanges) == 1
    assert sorted(answer.headers["x-modelbus-source"] for answer in answers).count(str(world.at_acme.id)) == 1
    assert await shown_by(router) == []

    async def is_served_by_acme() -> bool:
        return (await router.complete()).headers["x-modelbus-source"] == str(world.at_acme.id)

    await eventually(is_served_by_acme)


async def test_a_resting_source_is_asked_where_nobody_else_serves(
    router: RunningRouter, simulator: Simulator, world: World
) -> None:
    simulator.openai.misbehave(Fault(status=500))
    for _ in range(LEAST_FAILURES):
        await router.complete()
    simulator.openai.behave()
    simulator.openrouter.misbehave(Fault(status=500))

    answer = await router.complete()

    assert (answer.status_code, answer.headers["x-modelbus-source"]) == (200, str(world.at_acme.id))
    assert answer.headers["x-modelbus-attempts"] == "2"


@pytest.mark.parametrize(
    "fault", [Fault(status=429, headers={"Retry-After": "0"}), Fault(context_length_exceeded=True)]
)
async def test_what_says_nothing_against_the_source_is_not_held_against_it(
    router: RunningRouter, simulator: Simulator, fault: Fault
) -> None:
    simulator.openai.misbehave(fault)
    for _ in range(LEAST_FAILURES + 1):
        await router.complete()

    assert await shown_by(router) == []


async def test_a_caller_in_a_hurry_takes_no_source_away_from_others(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True))
    async with running_router(tmp_path, world.seed) as router:
        for _ in range(LEAST_FAILURES + 1):
            headers = {"X-Modelbus-Timeout-First-Byte": "0.02"}
            answer = await router.http.post(
                "/v1/chat/completions",
                json={"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
                headers=headers,
            )
            assert answer.headers["x-modelbus-attempts"] == "2"
        shown = await shown_by(router)

    assert shown == []


CUT = Fault(cut_after_tokens=2, tokens_per_second=1000)


@pytest.mark.parametrize("callers", [1, 8])
async def test_a_source_that_cuts_every_stream_rests_however_many_read_at_once(
    router: RunningRouter, simulator: Simulator, callers: int
) -> None:
    simulator.openai.misbehave(CUT)
    await router.complete(stream=True)
    # Streams that have begun and go on vouch for nothing yet.
    simulator.openai.misbehave(Fault(tokens_per_second=1, reply_tokens=1000))
    async with AsyncExitStack() as held:
        for _ in range(callers):
            await held.enter_async_context(begun_stream(router))
        simulator.openai.misbehave(CUT)
        for _ in range(4 // callers or 1):
            await asyncio.gather(*(router.complete(stream=True) for _ in range(callers)))
        [shown] = await shown_by(router)

    assert (shown["state"], shown["failures"]) == ("open", 1 + max(callers, 4))


@asynccontextmanager
async def begun_stream(router: RunningRouter) -> AsyncIterator[httpx.Response]:
    """Read the first token of a stream, and stay."""
    async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
        pieces = answer.aiter_bytes()
        await anext(pieces)
        yield answer


@asynccontextmanager
async def half_open(
    router: RunningRouter, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """Let the source's breaker open, and its rest pass."""
    monkeypatch.setattr(breaking, "FIRST_REST_S", 0.3)
    simulator.openai.misbehave(Fault(status=500))
    for _ in range(LEAST_FAILURES):
        await router.complete()

    async def is_half_open() -> bool:
        return [each["state"] for each in await shown_by(router)] == ["half_open"]

    await eventually(is_half_open)
    yield


async def test_a_probe_whose_stream_is_cut_doubles_the_rest(
    router: RunningRouter, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with half_open(router, simulator, monkeypatch):
        simulator.openai.misbehave(CUT)
        await router.complete(stream=True)

    [shown] = await shown_by(router)
    assert (shown["state"], shown["failures"]) == ("open", LEAST_FAILURES + 1)
    assert 0.3 < shown["retry_in_s"] <= 0.6


async def test_a_probe_whose_stream_ends_well_brings_the_source_back_and_not_before(
    router: RunningRouter, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with half_open(router, simulator, monkeypatch):
        simulator.openai.misbehave(Fault(tokens_per_second=40))
        async with begun_stream(router):
            [shown] = await shown_by(router)
            assert shown["state"] == "half_open"
        await router.complete(stream=True)

    assert await shown_by(router) == []


@pytest.mark.parametrize("has_begun", [True, False])
async def test_a_caller_that_leaves_during_a_probe_leaves_it_to_the_next(
    router: RunningRouter, simulator: Simulator, world: World, monkeypatch: pytest.MonkeyPatch, *, has_begun: bool
) -> None:
    async with half_open(router, simulator, monkeypatch):
        simulator.openai.forget_exchanges()
        if has_begun:
            simulator.openai.misbehave(Fault(tokens_per_second=1, reply_tokens=1000))
            async with begun_stream(router):
                pass
        else:
            simulator.openai.misbehave(Fault(accept_and_hang=True))
            asking = asyncio.create_task(router.complete(stream=True))
            await eventually(lambda: simulator.openai.exchanges)
            asking.cancel()
        await eventually(lambda: simulator.openai.exchanges[0].client_disconnected)
        simulator.openai.behave()

        answer = await router.complete()

    assert answer.headers["x-modelbus-source"] == str(world.at_acme.id)
    assert await shown_by(router) == []
