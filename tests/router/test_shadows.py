"""Shadows of splits: they get copies, and whatever they do with them, nobody who waits for an answer notices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts.access import BudgetRecord, ConsumerRecord
from modelbus.contracts.records import CostPrices, ModelRecord, SourceRecord
from modelbus.router.journey.shadows import LARGEST_BYTES
from modelbus.simulator import Fault, Simulator
from router.routers import MESSAGES, RunningRouter, running_router
from router.seeding import a_shadow, an_arm
from router.spools import spooled
from router.test_figures import figures
from router.world import World
from running import eventually

HANGS = Fault(accept_and_hang=True)


class Shadowed:
    """gpt-4o at acme answers; a model of its own at beta is its shadow."""

    def __init__(self, world: World, percent: float = 100) -> None:
        self.world = world
        self.model: ModelRecord = world.seed.model("candidate")
        cost = CostPrices(input="1", output="1")
        self.source: SourceRecord = world.seed.source(self.model, world.beta, "openai/gpt-4o-mini", cost=cost)
        self.split = world.seed.split(
            "canary", an_arm("real", world.at_acme), shadows=[a_shadow("copy", self.model, percent)]
        )

    @asynccontextmanager
    async def running(self, state_dir: Path, **fields: Any) -> AsyncIterator[RunningRouter]:
        async with running_router(state_dir, self.world.seed, **fields) as router:
            yield router


@pytest.fixture
def shadowed(world: World) -> Shadowed:
    return Shadowed(world)


async def asked(router: RunningRouter, **fields: Any) -> dict[str, str]:
    answer = await router.complete(model="canary", **fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.headers)


async def until_ended(router: RunningRouter, number: int) -> dict[tuple[str, ...], float]:
    """Wait until so many copies have ended or were dropped, and none is under way."""

    async def ended() -> dict[tuple[str, ...], float]:
        found = await figures(router)
        names = ("modelbus_shadow_requests_total", "modelbus_shadows_dropped_total")
        assert sum(count for (name, *_), count in found.items() if name in names) == number
        assert found["modelbus_shadows_under_way",] == 0
        return found

    found: dict[tuple[str, ...], float] = await eventually(ended)
    return found


def copies(state_dir: Path) -> list[Any]:
    return [each for each in spooled(state_dir) if each["is_shadow"]]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_copy_goes_to_the_shadow_with_the_body_that_is_its_models(
    shadowed: Shadowed, tmp_path: Path, simulator: Simulator, *, is_stream: bool
) -> None:
    async with shadowed.running(tmp_path) as router:
        headers = await asked(router, stream=is_stream, temperature=0.5)
        found = await until_ended(router, 1)

    [real], [copied] = simulator.openai.exchanges, simulator.openrouter.exchanges
    assert (real.model, copied.model) == ("gpt-4o", "openai/gpt-4o-mini")
    assert copied.to_json()["body"] == {**real.to_json()["body"], "model": "openai/gpt-4o-mini"}
    assert headers["x-modelbus-variant"] == "real"
    assert sum(count for (name, *_), count in found.items() if name == "modelbus_requests_total") == 1
    [request, copy] = spooled(tmp_path)
    assert (request["is_shadow"], request["variant"], request["id"]) == (False, "real", headers["x-request-id"])
    assert (copy["is_shadow"], copy["shadowed_request_id"], copy["variant"]) == (True, request["id"], "copy")
    assert (copy["split_id"], copy["drawn_variant"], copy["asked_for"]) == (str(shadowed.split.id), None, "canary")
    assert (copy["outcome"], copy["status"], copy["charge"]) == ("ok", 200, "0")
    [attempt] = copy["attempts"]
    assert (attempt["source_id"], attempt["outcome"]) == (str(shadowed.source.id), "ok")
    assert attempt["tokens"]["output"] > 0
    assert float(attempt["cost"]) > 0


async def test_shadows_that_hang_hold_nobody_up_and_are_no_more_than_the_limit(
    shadowed: Shadowed, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openrouter.misbehave(HANGS)
    async with shadowed.running(tmp_path, shadow_concurrency=3) as router:
        for _ in range(5):
            await asked(router)
        await asyncio.gather(*(asked(router, stream=True) for _ in range(15)))
        found = await figures(router)
        leaving = monotonic()

    assert monotonic() - leaving < 5
    assert found["modelbus_shadows_under_way",] == 3
    assert found["modelbus_shadows_dropped_total", "busy"] == 17
    assert found["modelbus_requests_total", "ok", "200", "true"] == 15
    assert [each["outcome"] for each in copies(tmp_path)] == ["cancelled"] * 3


async def test_a_copy_that_takes_longer_than_shadows_may_is_given_up(
    shadowed: Shadowed, tmp_path: Path, simulator: Simulator
) -> None:
    async with shadowed.running(tmp_path, shadow_s=1) as router:
        for number, fault in enumerate((HANGS, Fault(stall_after_tokens=3)), 1):
            simulator.openrouter.misbehave(fault)
            await asked(router, stream=True)
            await until_ended(router, number)

    assert [each["outcome"] for each in copies(tmp_path)] == ["failed", "cut"]


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_what_a_shadow_answers_tells_nothing_of_its_source_and_credential(
    shadowed: Shadowed, tmp_path: Path, simulator: Simulator, status: int
) -> None:
    simulator.openrouter.misbehave(Fault(status=status), times=6)
    async with shadowed.running(tmp_path) as router:
        for number in range(1, 7):
            await asked(router)
            await until_ended(router, number)
        answer = await router.complete(model="candidate")
        found = await figures(router)

    assert (answer.status_code, answer.headers["x-modelbus-attempts"]) == (200, "1")
    assert answer.headers["x-modelbus-source"] == str(shadowed.source.id)
    assert found["modelbus_breakers", "open"] == 0
    told = copies(tmp_path)
    assert {(each["outcome"], each["status"], each["attempts"][0]["status"]) for each in told} == {
        ("failed", 502, status)
    }


async def test_copies_count_for_no_limit_and_no_budget(world: World, tmp_path: Path) -> None:
    shadowed = Shadowed(world)
    consumer = ConsumerRecord(
        id=new_id(),
        name="acme",
        consumer_kind="tenant",
        tier="pro",
        is_active=True,
        model_ids=[world.model.id],
        scope_ids=None,
        rpm_limit=4,
        tpm_limit=None,
        concurrency_limit=1,
        budgets=[BudgetRecord(period="total", amount="0.000001")],
    )
    world.seed.put(consumer)
    [key] = world.seed.records["access_key"].values()
    world.seed.put(key.model_copy(update={"consumer_id": consumer.id}))
    async with shadowed.running(tmp_path) as router:
        for number in range(1, 5):
            headers = await asked(router)
            assert headers["x-ratelimit-remaining-requests"] == str(4 - number)
            await until_ended(router, number)

    assert {each["consumer_id"] for each in copies(tmp_path)} == {str(consumer.id)}


async def test_copies_take_of_what_their_supplier_allows_and_are_not_sent_where_there_is_no_room(
    shadowed: Shadowed, tmp_path: Path
) -> None:
    shadowed.world.seed.put(shadowed.world.beta_key.model_copy(update={"rpm_limit": 1}))
    async with shadowed.running(tmp_path) as router:
        await asked(router)
        await until_ended(router, 1)
        await asked(router)
        found = await until_ended(router, 2)

    assert len(copies(tmp_path)) == 1
    assert found["modelbus_shadows_dropped_total", "unable"] == 1


async def test_only_what_was_served_is_copied_and_counting_is_not(
    shadowed: Shadowed, tmp_path: Path, simulator: Simulator
) -> None:
    counting = {"model": "canary", "messages": MESSAGES}
    simulator.openai.misbehave(Fault(status=500), times=1)
    async with shadowed.running(tmp_path) as router:
        failed = await router.complete(model="canary")
        await router.http.post("/v1/messages/count_tokens", json=counting, headers={"anthropic-version": "2023-06-01"})
        await router.complete(model="candidate")
        found = await until_ended(router, 0)

    assert failed.status_code == 502
    assert [exchange.model for exchange in simulator.openrouter.exchanges] == ["openai/gpt-4o-mini"]
    assert found["modelbus_shadows_under_way",] == 0


async def test_what_is_too_large_is_not_copied_and_too_large_an_answer_is_not_kept(
    shadowed: Shadowed, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openrouter.misbehave(Fault(huge_body_bytes=2 * LARGEST_BYTES), times=1)
    large = [{"role": "user", "content": "x" * LARGEST_BYTES}]
    async with shadowed.running(tmp_path) as router:
        await asked(router, messages=large)
        await asked(router)
        found = await until_ended(router, 2)

    assert found["modelbus_shadows_dropped_total", "too_large"] == 1
    [copy] = copies(tmp_path)
    assert (copy["outcome"], copy["attempts"][0]["error"]) == (
        "failed",
        f"answered too much: more than {LARGEST_BYTES} bytes",
    )


async def test_a_shadow_that_can_not_serve_is_not_asked(shadowed: Shadowed, tmp_path: Path) -> None:
    gone = shadowed.source.model_copy(update={"is_available": False, "reason": "delisted"})
    shadowed.world.seed.put(gone)
    async with shadowed.running(tmp_path) as router:
        await asked(router)
        found = await until_ended(router, 1)

    assert found["modelbus_shadows_dropped_total", "unable"] == 1
    assert copies(tmp_path) == []


async def test_about_as_many_are_copied_as_the_percentage_says(world: World, tmp_path: Path) -> None:
    shadowed = Shadowed(world, percent=25)
    async with shadowed.running(tmp_path) as router:
        for _ in range(100):
            await asked(router)

    # Fewer or more by chance: once in some ten million runs.
    assert 4 <= len(copies(tmp_path)) <= 48


async def test_a_limit_of_0_copies_nothing(shadowed: Shadowed, tmp_path: Path) -> None:
    async with shadowed.running(tmp_path, shadow_concurrency=0) as router:
        await asked(router)
        found = await until_ended(router, 1)

    assert found["modelbus_shadows_dropped_total", "busy"] == 1
