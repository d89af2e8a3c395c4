"""Answers that are given again: in scopes that want it, to the same request, until something of the model changes."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts.records import CostPrices
from modelbus.contracts.routing import ScopeRecord
from modelbus.simulator import Fault, Simulator
from router.feeds import Feed, tell
from router.routers import KEY, PROMPT, RunningRouter, running_router
from router.test_limits import a_consumer
from router.test_usage import listening
from router.world import World
from running import eventually
from testing_bus import LocalBus

CERTAIN = PROMPT | {"temperature": 0}


def a_scope(world: World, **fields: Any) -> ScopeRecord:
    usual: dict[str, Any] = {
        "name": "shop",
        "is_active": True,
        "model_ids": [world.model.id],
        "default_model_id": world.model.id,
        "response_cache_s": 300,
    }
    return world.seed.put(ScopeRecord(id=new_id(), **(usual | fields)))


async def ask(
    router: RunningRouter, body: Any = CERTAIN, *, key: str = KEY, path: str = "chat/completions", scope: str = "shop"
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "X-Modelbus-Scope": scope}
    kind = {"content": body} if isinstance(body, bytes) else {"json": body}
    return await router.http.post(f"/v1/{path}", headers=headers, **kind)


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.headers.get("x-modelbus-cache")


MISS, HIT, NEITHER = (200, "miss"), (200, "hit"), (200, None)


async def test_the_same_request_is_answered_as_before_and_nobody_is_asked(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    a_scope(world)
    async with running_router(tmp_path, world.seed) as router:
        first, second = await ask(router), await ask(router)

    assert (told(first), told(second)) == (MISS, HIT)
    assert second.content == first.content
    assert second.headers["x-modelbus-source"] == first.headers["x-modelbus-source"]
    assert (second.headers["age"], second.headers["content-type"]) == ("0", first.headers["content-type"])
    assert second.headers["x-request-id"] != first.headers["x-request-id"]
    assert len(simulator.openai.exchanges) == 1


async def test_the_order_of_fields_and_blanks_do_not_matter_and_all_else_does(world: World, tmp_path: Path) -> None:
    a_scope(world)
    a_scope(world, name="other")
    reordered = b'{ "temperature":0, "messages":[{"content":"one two three", "role":"user"}],\n"model":"gpt-4o"}'
    async with running_router(tmp_path, world.seed) as router:
        await ask(router)
        same = [told(await ask(router, reordered)), told(await ask(router, CERTAIN | {"n": 1}))]
        others = [
            told(await ask(router, CERTAIN | {"seed": 7})),
            told(await ask(router, CERTAIN | {"messages": [{"role": "user", "content": "two one three"}]})),
            told(await ask(router, scope="other")),
        ]

    assert same == [HIT, MISS]
    assert others == [MISS] * 3


@pytest.mark.parametrize(
    "more",
    [{"temperature": 1}, {"temperature": None}, {"temperature": False}, {"n": 2}, {"stream": True}],
    ids=["warm", "unsaid", "no-number", "several", "stream"],
)
async def test_what_leaves_something_to_chance_is_asked_each_time(
    world: World, tmp_path: Path, simulator: Simulator, more: dict[str, Any]
) -> None:
    a_scope(world)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router, CERTAIN | more) for _ in range(2)]

    assert {answer.headers.get("x-modelbus-cache") for answer in answers} == {None}
    assert len(simulator.openai.exchanges) >= 2


async def test_without_a_scope_that_wants_it_nothing_is_kept(world: World, tmp_path: Path) -> None:
    a_scope(world, name="off", response_cache_s=None)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router, scope="off") for _ in range(2)]
        answers += [await router.complete(temperature=0) for _ in range(2)]

    assert [told(answer) for answer in answers] == [NEITHER] * 4


async def test_embeddings_leave_nothing_to_chance_and_every_protocol_has_its_own_answers(
    world: World, tmp_path: Path
) -> None:
    small = world.seed.model("small", model_type="embedding")
    world.seed.source(small, world.acme, "text-embedding-3-small")
    a_scope(world, model_ids=[world.model.id, small.id])
    said, text = CERTAIN | {"max_tokens": 10}, {"model": "small", "input": "x"}
    async with running_router(tmp_path, world.seed) as router:
        embedded = [told(await ask(router, text, path="embeddings")) for _ in range(2)]
        chat = [told(await ask(router, said)) for _ in range(2)]
        messages = [await ask(router, said, path="messages") for _ in range(2)]

    assert embedded == chat == [told(one) for one in messages] == [MISS, HIT]
    assert messages[1].json()["type"] == "message"


async def test_keys_that_may_do_the_same_share_answers_and_others_do_not(world: World, tmp_path: Path) -> None:
    a_scope(world)
    world.seed.key("mb-same")
    world.seed.key("mb-fewer", model_ids=[world.model.id])
    world.seed.key("mb-tier", consumer_id=a_consumer(world.seed).id)
    world.seed.key("mb-none", model_ids=[])
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router, key=key) for key in (KEY, "mb-same", "mb-fewer", "mb-tier", "mb-none")]

    assert [told(answer) for answer in answers] == [MISS, HIT, MISS, MISS, (403, None)]


async def test_failures_are_not_kept(world: World, tmp_path: Path, simulator: Simulator) -> None:
    a_scope(world)
    for provider in (simulator.openai, simulator.openrouter):
        provider.misbehave(Fault(status=400), times=1)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router) for _ in range(3)]

    assert [told(answer) for answer in answers] == [(400, None), MISS, HIT]


async def test_an_answer_is_given_no_longer_than_the_scope_says(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_scope(world, response_cache_s=60)
    now = 1000.0
    monkeypatch.setattr("modelbus.router.memo.answers.monotonic", lambda: now)
    async with running_router(tmp_path, world.seed) as router:
        answers = [await ask(router)]
        now = 1059.0
        answers.append(await ask(router))
        now = 1061.0
        answers.append(await ask(router))

    assert [told(answer) for answer in answers] == [MISS, HIT, MISS]
    assert answers[1].headers["age"] == "59"


@pytest.mark.parametrize("kind", ["model", "source", "scope"])
async def test_a_change_of_model_source_or_scope_ends_it_at_once(
    world: World, tmp_path: Path, bus: LocalBus, kind: str
) -> None:
    scope = a_scope(world)
    changed = {
        "model": world.model.model_copy(update={"display_name": "new", "aliases": ["new"]}),
        "source": world.at_acme.model_copy(update={"upstream_name": "gpt-4o-2"}),
        "scope": scope.model_copy(update={"response_cache_s": 200}),
    }[kind]
    feed, client = Feed(world.seed), await bus.client()
    async with feed.running() as url, running_router(tmp_path, catalog_url=url, nats_url=bus.url) as router:

        async def is_at(revision: int) -> bool:
            return bool((await router.cache())["revision"] == revision)

        await eventually(lambda: is_at(1))
        before = [told(await ask(router)), told(await ask(router))]
        await tell(client, feed.change(changed))
        await eventually(lambda: is_at(2))
        after = [told(await ask(router)), told(await ask(router))]
    await client.close()

    assert before == [MISS, HIT]
    assert after == [MISS, HIT]


async def test_memory_is_bounded_and_what_was_not_asked_for_longest_goes(world: World, tmp_path: Path) -> None:
    a_scope(world)
    async with running_router(tmp_path, world.seed, response_cache_bytes=12_000) as router:
        prompts = [CERTAIN | {"seed": number} for number in range(12)]
        again = []
        for prompt in prompts:
            await ask(router, prompt)
            again.append(told(await ask(router, prompts[0])))
        kept = [told(await ask(router, prompt)) for prompt in (prompts[0], prompts[11], prompts[1])]

    assert again == [HIT] * 12
    assert kept == [HIT, HIT, MISS]


async def test_an_answer_too_large_and_a_memory_of_nothing_keep_nothing(world: World, tmp_path: Path) -> None:
    a_scope(world)
    async with running_router(tmp_path, world.seed, response_cache_bytes=0) as router:
        answers = [told(await ask(router)) for _ in range(2)]

    assert answers == [MISS, MISS]


async def test_an_answer_given_again_is_told_without_attempts_and_costs_nothing(
    world: World, tmp_path: Path, bus: LocalBus
) -> None:
    world.seed.put(
        world.at_acme.model_copy(
            update={"cost": CostPrices(input=Decimal(0), output=Decimal(0), request=Decimal("0.5"))}
        )
    )
    a_scope(world)
    async with listening(bus) as listener, running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        await ask(router)
        await ask(router)
        first, second = await listener.heard(2)

    assert (first.is_cached, len(first.attempts), first.charge) == (False, 1, Decimal("0.5"))
    assert (second.is_cached, second.attempts, second.charge) == (True, [], Decimal(0))
    assert (second.status, second.outcome) == (200, "ok")
