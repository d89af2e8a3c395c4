"""Explaining: the dry run and the header say who would serve and why nobody else."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from modelbus.simulator import Simulator
from router.routers import PROMPT, RunningRouter, running_router
from router.world import World
from running import ADMIN_TOKEN, SERVICE_TOKEN

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


async def explained(router: RunningRouter, *, headers: Any = None, params: Any = None, **fields: Any) -> httpx.Response:
    return await router.http.post("/api/v1/explain", json=PROMPT | fields, headers=headers, params=params)


@pytest.fixture
def chained(world: World) -> World:
    """A chain with a stale step, one that the key may not call, one that can't, and the model at two suppliers."""
    seed = world.seed
    gone, hidden = seed.model("gone", is_available=False, reason="delisted"), seed.model("hidden")
    blind = seed.able("blind", "tools")
    seed.source(hidden, world.acme)
    seed.source(blind, world.acme)
    seed.key("mb-limited", model_ids=[gone.id, blind.id, world.model.id])
    seed.chain("c", gone, hidden, blind, world.model)
    return world


@pytest.fixture
def prompt_with_image() -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    return {"model": "c", "messages": [{"role": "user", "content": [part]}]}


async def test_a_dry_run_names_the_candidates_and_why_each_other_is_left_out_and_calls_nobody(
    chained: World, tmp_path: Path, simulator: Simulator, prompt_with_image: dict[str, Any]
) -> None:
    async with running_router(tmp_path, chained.seed) as router:
        told = (await explained(router, headers={"Authorization": "Bearer mb-limited"}, **prompt_with_image)).json()

    assert (told["kind"], told["name"], told["strategy"], told["refusal"]) == ("chain", "c", "priority", None)
    assert [(each["source_id"], each["place"]) for each in told["candidates"]] == [
        (str(chained.at_acme.id), "step 4"),
        (str(chained.at_beta.id), "step 4"),
    ]
    assert [(each["place"], each["model"], each["reason"]) for each in told["left_out"]] == [
        ("step 1", "gone", "delisted"),
        ("step 2", "hidden", "not_permitted"),
        ("step 3", "blind", "lacks vision"),
    ]
    assert [each["place"] for each in told["skipped"]] == ["step 1"]
    assert [each["credential_id"] for each in told["candidates"]] == [None, None]
    assert not simulator.openai.exchanges
    assert not simulator.openrouter.exchanges


async def test_an_administrator_sees_credentials_and_asks_for_others(chained: World, tmp_path: Path) -> None:
    [limited] = [each for each in chained.seed.records["access_key"].values() if getattr(each, "model_ids", None)]
    async with running_router(tmp_path, chained.seed) as router:
        own = (await explained(router, headers=ADMIN, model="hidden")).json()
        theirs = (
            await explained(router, headers=ADMIN, model="hidden", params={"access_key_id": str(limited.id)})
        ).json()
        nobody = await explained(router, headers=ADMIN, params={"access_key_id": str(chained.acme.id)})

    assert own["candidates"][0]["credential_id"] == str(chained.acme_key.id)
    assert theirs["refusal"]["code"] == "model_not_permitted"
    assert nobody.status_code == 400
    assert "no access key" in nobody.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "params", "fields", "status", "code"),
    [
        ({"Authorization": ""}, {}, {}, 401, "invalid_api_key"),
        ({"Authorization": f"Bearer {SERVICE_TOKEN}"}, {}, {}, 403, "forbidden"),
        ({}, {"path": "/v1/nowhere"}, {}, 400, "invalid_request"),
        ({}, {}, {"model": "nothing"}, 404, "model_not_found"),
        ({"x-modelbus-scope": "nowhere"}, {}, {}, 403, "scope_not_permitted"),
    ],
)
async def test_what_can_not_be_explained_is_refused_as_the_request_would_be(
    router: RunningRouter, headers: Any, params: Any, fields: Any, status: int, code: str
) -> None:
    answer = await explained(router, headers=headers, params=params, **fields)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_same_seed_explains_alike_and_leaves_no_trace(world: World, tmp_path: Path) -> None:
    for _ in range(6):
        world.seed.source(world.model, world.acme, priority=0)
    async with running_router(tmp_path, world.seed) as router:
        told = [(await explained(router, params={"seed": seed})).json()["candidates"] for seed in (1, 1, 2, 3, 4)]

    assert told[0] == told[1]
    assert any(each != told[0] for each in told[2:])


async def test_the_header_explains_a_request_that_was_served_and_only_where_it_is_asked_for(
    world: World, router: RunningRouter
) -> None:
    answer = await router.http.post("/v1/chat/completions", json=PROMPT, headers={"x-modelbus-explain": "1"})
    plain = await router.complete()

    told = msgspec.json.decode(answer.headers["x-modelbus-explain"])
    assert [each["source_id"] for each in told["candidates"]] == [str(world.at_acme.id), str(world.at_beta.id)]
    assert "x-modelbus-explain" not in plain.headers


async def test_the_header_of_a_long_and_foreign_explanation_is_short_and_ascii(world: World, tmp_path: Path) -> None:
    for number in range(60):
        world.seed.source(world.model, world.acme, f"größer-{number}-🜁", is_available=False, reason="délisted")
    chain = world.seed.chain("ключ-🜁", world.model)
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.http.post(
            "/v1/chat/completions", json=PROMPT | {"model": chain.name}, headers={"x-modelbus-explain": "1"}
        )

    header = answer.headers["x-modelbus-explain"]
    told = msgspec.json.decode(header)
    assert header.isascii()
    assert len(header) <= 4096
    assert (told["name"], told["counts"]["left_out"]) == (chain.name, 60)


async def test_a_refusal_is_explained_in_its_header_too(chained: World, tmp_path: Path) -> None:
    async with running_router(tmp_path, chained.seed) as router:
        answer = await router.http.post(
            "/v1/chat/completions", json=PROMPT | {"model": "gone"}, headers={"x-modelbus-explain": "1"}
        )

    assert answer.status_code == 503
    assert msgspec.json.decode(answer.headers["x-modelbus-explain"])["refusal"]["code"] == "model_unavailable"
