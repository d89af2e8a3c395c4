"""What callers may use: requests, tokens and places, by access key and by consumer, at the door of one router."""

import asyncio
from math import inf
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.chassis.ids import new_id
from modelbus.contracts.access import ConsumerRecord
from modelbus.router.limits.buckets import Bucket
from modelbus.router.limits.headers import duration
from modelbus.simulator import Fault, Simulator
from router.routers import PROMPT, RunningRouter, running_router
from router.seeding import Seed
from router.world import World
from running import eventually

LIMITED = "mb-limited"
HEADERS = {"Authorization": f"Bearer {LIMITED}"}


def a_consumer(seed: Seed, **fields: Any) -> ConsumerRecord:
    usual: dict[str, Any] = {
        "name": "acme",
        "consumer_kind": "tenant",
        "tier": "max",
        "is_active": True,
        "model_ids": None,
        "scope_ids": None,
        "rpm_limit": None,
        "tpm_limit": None,
        "concurrency_limit": None,
        "budgets": [],
    }
    return seed.put(ConsumerRecord(id=new_id(), **(usual | fields)))


async def ask(router: RunningRouter, key: str = LIMITED, **fields: Any) -> httpx.Response:
    return await router.http.post(
        "/v1/chat/completions", json=PROMPT | fields, headers={"Authorization": f"Bearer {key}"}
    )


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 429
    code: str = answer.json()["error"]["code"]
    return code


def test_a_bucket_fills_up_evenly_and_never_beyond_its_limit() -> None:
    bucket = Bucket(60, now=0.0)
    bucket.draw(60, now=0.0)

    assert (bucket.left(0.0), bucket.wait_s(1, 0.0), bucket.full_in_s(0.0)) == (0.0, 1.0, 60.0)
    assert (bucket.left(1.5), bucket.left(600.0)) == (1.5, 60.0)
    assert bucket.wait_s(61, 600.0) == inf


def test_a_new_limit_does_not_give_back_what_was_drawn() -> None:
    bucket = Bucket(60, now=0.0)
    bucket.draw(50, now=0.0)
    bucket.resize(100, now=0.0)
    raised = bucket.left(0.0)
    bucket.resize(30, now=0.0)

    assert (raised, bucket.left(0.0)) == (50.0, -20.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 20)), max_size=60))
def test_no_window_lets_through_more_than_the_limit_and_what_fills_up_in_it(asked: list[tuple[float, int]]) -> None:
    bucket, now, taken = Bucket(30, now=0.0), 0.0, list[tuple[float, int]]()
    for pause, amount in asked:
        now += pause
        if not bucket.wait_s(amount, now):
            bucket.draw(amount, now)
            taken.append((now, amount))

    for begin, (since, _) in enumerate(taken):
        for end in range(begin, len(taken)):
            passed = sum(amount for _, amount in taken[begin : end + 1])
            assert passed <= 30 + (taken[end][0] - since) * 30 / 60 + 1e-6


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0.0, "0ms"), (0.017, "17ms"), (1.0, "1s"), (1.25, "1.25s"), (60, "1m0s"), (361.5, "6m1.5s"), (3660, "1h1m0s")],
)
def test_times_are_written_as_openai_writes_them(seconds: float, written: str) -> None:
    assert duration(seconds) == written


async def test_requests_beyond_the_limit_are_refused_with_the_time_to_wait(world: World, tmp_path: Path) -> None:
    world.seed.key(LIMITED, rpm_limit=2)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router) for _ in range(3)]
        unlimited = await router.complete()

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "2"
    assert 29 < float(answers[0].headers["x-ratelimit-reset-requests"].removesuffix("s")) <= 30
    assert refused(answers[2]) == "rate_limit_exceeded"
    assert answers[2].headers["retry-after"] == "30"
    assert "2 requests per minute" in answers[2].json()["error"]["message"]
    assert not [name for name in unlimited.headers if name.startswith("x-ratelimit")]


async def test_all_keys_of_a_consumer_share_its_limit_and_the_tighter_one_is_told(world: World, tmp_path: Path) -> None:
    consumer = a_consumer(world.seed, rpm_limit=3)
    world.seed.key("mb-one", consumer_id=consumer.id)
    world.seed.key("mb-two", consumer_id=consumer.id, rpm_limit=100)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router, key) for key in ("mb-one", "mb-two", "mb-one", "mb-two")]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[1].headers["x-ratelimit-limit-requests"] == "3"


async def test_tokens_are_set_aside_before_and_settled_after(world: World, tmp_path: Path) -> None:
    world.seed.key(LIMITED, tpm_limit=1000)
    async with running_router(tmp_path, world.seed) as router:
        answer = await ask(router, max_tokens=900)
        refusal = await ask(router, max_tokens=5000)
        after = await ask(router, max_tokens=100)

    # 3 + 8 were used of about 908 that were set aside; the answer could not know that yet.
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 100
    assert refused(refusal) == "rate_limit_exceeded"
    assert int(after.headers["x-ratelimit-remaining-tokens"]) > 800
    assert answer.headers["x-ratelimit-limit-tokens"] == "1000"


async def test_a_prompt_beyond_the_limit_of_tokens_is_never_to_be_tried_again(world: World, tmp_path: Path) -> None:
    world.seed.key(LIMITED, tpm_limit=100)
    async with running_router(tmp_path, world.seed) as router:
        answer = await ask(router, messages=[{"role": "user", "content": "word " * 200}])

    assert refused(answer) == "rate_limit_exceeded"
    assert "retry-after" not in answer.headers
    assert answer.headers["x-should-retry"] == "false"


async def test_a_stream_is_settled_when_it_ends(world: World, tmp_path: Path) -> None:
    world.seed.key(LIMITED, tpm_limit=1000, concurrency_limit=1)
    async with running_router(tmp_path, world.seed) as router:
        first = await ask(router, max_tokens=900, stream=True)
        second = await ask(router, max_tokens=900)

    # Neither place nor tokens would be there if the first had kept what it set aside.
    assert (first.status_code, second.status_code) == (200, 200)
    assert "[DONE]" in first.text


async def test_no_more_requests_are_under_way_than_may_be_at_once(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    world.seed.key(LIMITED, concurrency_limit=2)
    simulator.openai.misbehave(Fault(latency_ms=300))
    async with running_router(tmp_path, world.seed) as router:
        answers = await asyncio.gather(*(ask(router) for _ in range(5)))
        later = await ask(router)

    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429]
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
    assert later.status_code == 200


async def test_a_caller_that_leaves_leaves_its_place(world: World, tmp_path: Path, simulator: Simulator) -> None:
    world.seed.key(LIMITED, concurrency_limit=1, rpm_limit=1000)
    simulator.openai.misbehave(Fault(latency_ms=5000))
    async with running_router(tmp_path, world.seed) as router:
        with pytest.raises(httpx.ReadTimeout):
            await router.http.post("/v1/chat/completions", json=PROMPT, headers=HEADERS, timeout=0.1)
        simulator.openai.reset()

        async def served() -> bool:
            return (await ask(router)).status_code == 200

        assert await eventually(served)


async def test_what_fails_upstream_gives_its_tokens_back(world: World, tmp_path: Path, simulator: Simulator) -> None:
    world.seed.key(LIMITED, tpm_limit=1000)
    for provider in (simulator.openai, simulator.openrouter):
        provider.misbehave(Fault(status=500))
    async with running_router(tmp_path, world.seed) as router:
        failed = await ask(router, max_tokens=900)
        again = await ask(router, max_tokens=900)

    assert (failed.status_code, again.status_code) == (502, 502)


async def test_the_sdks_read_limits_as_their_own(world: World, tmp_path: Path) -> None:
    world.seed.key(LIMITED, rpm_limit=1)
    async with running_router(tmp_path, world.seed) as router:
        sdk = router.sdk.with_options(api_key=LIMITED, max_retries=0)
        async with anthropic.AsyncAnthropic(base_url=router.url, api_key=LIMITED, max_retries=0) as claude:
            said: Any = {"model": "gpt-4o", "messages": PROMPT["messages"]}
            first = await claude.messages.with_raw_response.create(max_tokens=10, **said)
            with pytest.raises(anthropic.RateLimitError) as theirs:
                await claude.messages.create(max_tokens=10, **said)
        with pytest.raises(openai.RateLimitError) as ours:
            await sdk.chat.completions.create(**said)

    assert ours.value.code == "rate_limit_exceeded"
    assert first.headers["anthropic-ratelimit-requests-limit"] == "1"
    assert first.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert first.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert theirs.value.body["error"]["type"] == "rate_limit_error"  # type: ignore[index]
