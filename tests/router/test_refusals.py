import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelbus.simulator import Simulator
from router.routers import KEY, PROMPT, RunningRouter, running_router
from router.world import World
from running import SERVICE_TOKEN

GOOD = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]'


@pytest.mark.parametrize(
    ("body", "param", "word"),
    [
        (b"", None, "not JSON"),
        (b"{", None, "not JSON"),
        (b"[1]", None, "object"),
        (b'"gpt-4o"', None, "object"),
        (b'{"model":NaN}', None, "not JSON"),
        (GOOD + b',"x":"\x00"}', None, "not JSON"),
        (GOOD + b',"x":"\xff"}', None, "UTF-8"),
        (GOOD + b',"x\xff":1}', None, "UTF-8"),
        pytest.param(GOOD + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "nested", id="deep"),
        (b'{"messages":[{"role":"user","content":"hi"}]}', "model", "provide"),
        (b'{"model":7,"messages":[1]}', "model", "string"),
        (b'{"model":1e400,"messages":[1]}', "model", "string"),
        (b'{"model":null,"messages":[1]}', "model", "string"),
        (b'{"model":"","messages":[1]}', "model", "1 to 512"),
        (b'{"model":"gpt\\u0000","messages":[1]}', "model", "printable"),
        (b'{"model":"\\ud800","messages":[1]}', None, "not JSON"),
        (b'{"model":"' + b"x" * 513 + b'","messages":[1]}', "model", "512"),
        (b'{"model":"gpt-4o"}', "messages", "provide"),
        (b'{"model":"gpt-4o","messages":"hi"}', "messages", "list"),
        (b'{"model":"gpt-4o","messages":null}', "messages", "list"),
        (b'{"model":"gpt-4o","messages":[ ]}', "messages", "empty"),
        pytest.param(GOOD + b',"a":[' + b"[]," * 1_500_000 + b"0]}", None, "at most 1000000 lists", id="lists"),
        pytest.param(GOOD + b',"a":[0' + b',"x"' * 4_000_000 + b"]}", None, "4000000 values in all", id="values"),
        (GOOD + b',"stream":1}', "stream", "true or false"),
        (GOOD + b',"stream":true,"stream_options":7}', "stream_options", "object"),
        (GOOD + b',"stream":true,"stream_options":{"include_usage":1}}', "stream_options.include_usage", "true"),
    ],
)
async def test_a_request_that_can_not_be_read_is_refused_with_the_field_named(
    router: RunningRouter, simulator: Simulator, body: bytes, param: str | None, word: str
) -> None:
    answer = await router.http.post("/v1/chat/completions", content=body)

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, "invalid_request")
    assert word in error["message"]
    assert not simulator.openai.exchanges


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic " + KEY},
        {"x-api-key": "wrong"},
        {"Authorization": b"Bearer \xff\xfe"},
    ],
)
async def test_without_a_good_key_nothing_is_answered(router: RunningRouter, headers: Any) -> None:
    async with httpx.AsyncClient(base_url=router.url, headers=headers) as http:
        answers = [await http.post("/v1/chat/completions", json=PROMPT), await http.get("/v1/models")]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"is_active": False}, "disabled"),
        ({"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, "expired"),
    ],
)
async def test_a_key_that_is_over_is_refused(world: World, tmp_path: Path, fields: dict[str, Any], word: str) -> None:
    world.seed.key("mb-other", **fields)
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.http.get("/v1/models", headers={"Authorization": "Bearer mb-other"})

    assert answer.status_code == 401
    assert word in answer.json()["error"]["message"]


async def test_an_unknown_model_is_not_found(router: RunningRouter) -> None:
    answer = await router.complete(model="gpt-none")

    error = answer.json()["error"]
    assert answer.status_code == 404
    assert (error["code"], error["param"]) == ("model_not_found", "model")


async def test_a_model_that_nothing_serves_is_unavailable_with_the_reason(world: World, tmp_path: Path) -> None:
    world.seed.model("gone/model", is_available=False, reason="delisted")
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete(model="gone/model")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (503, "model_unavailable")
    assert "delisted" in error["message"]


async def test_a_supplier_of_another_protocol_is_left_out_with_a_readable_reason(world: World, tmp_path: Path) -> None:
    claude = world.seed.model("claude")
    world.seed.source(claude, world.seed.supplier("google", protocol="gemini"))
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete(model="claude")

    assert answer.status_code == 503
    assert "'google' speaks 'gemini'" in answer.json()["error"]["message"]


async def test_a_key_calls_only_what_it_is_allowed(world: World, tmp_path: Path) -> None:
    other = world.seed.model("other")
    world.seed.source(other, world.acme)
    world.seed.key("mb-other-only", model_ids=[other.id])
    headers = {"Authorization": "Bearer mb-other-only"}
    async with running_router(tmp_path, world.seed) as router:
        refused = await router.http.post("/v1/chat/completions", json=PROMPT, headers=headers)
        served = await router.http.post("/v1/chat/completions", json=PROMPT | {"model": "other"}, headers=headers)

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "model_not_permitted")
    assert served.status_code == 200


async def test_a_body_beyond_the_limit_is_refused_announced_or_not(world: World, tmp_path: Path) -> None:
    async with running_router(tmp_path, world.seed, max_prompt_bytes=1000) as router:
        announced = await router.http.post("/v1/chat/completions", content=b"x" * 1001)

        async def endless() -> Any:
            yield b"x" * 600
            yield b"x" * 600

        unannounced = await router.http.post("/v1/chat/completions", content=endless())

    assert [announced.status_code, unannounced.status_code] == [413, 413]
    assert announced.json()["error"]["code"] == "body_too_large"


async def test_a_body_that_does_not_come_is_not_waited_for(world: World, tmp_path: Path) -> None:
    async with running_router(tmp_path, world.seed, body_s=0.1) as router:
        connection, reply = await _begin_request(router)
        answer = await reply.readuntil(b"\r\n")
        connection.close()

    assert answer == b"HTTP/1.1 408 Request Timeout\r\n"


async def test_paths_and_methods_that_are_not_there_are_told_in_the_envelope(router: RunningRouter) -> None:
    unknown = await router.http.post("/v1/nothing", json={})
    wrong = await router.http.get("/v1/chat/completions")

    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_url")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_a_router_that_never_saw_a_catalog_says_so_and_is_not_ready(tmp_path: Path) -> None:
    async with running_router(tmp_path) as router:
        answer = await router.complete()
        ready = await router.http.get("/health/ready")
        cache = await router.cache()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "catalog_not_loaded")
    assert ready.status_code == 503
    assert (cache["is_loaded"], cache["age_s"], cache["counts"]["model"]) == (False, None, 0)


async def test_the_models_list_holds_what_the_key_can_call_now(world: World, tmp_path: Path) -> None:
    gone = world.seed.model("vendor/gone", is_available=False, reason="delisted")
    world.seed.chain("best", gone, world.model)
    world.seed.chain("dead", gone)
    world.seed.chain("off", world.model, is_active=False)
    world.seed.key("mb-nothing", model_ids=[])
    async with running_router(tmp_path, world.seed) as router:
        listed = [model.id async for model in router.sdk.models.list()]
        nothing = await router.http.get("/v1/models", headers={"Authorization": "Bearer mb-nothing"})

    assert listed == ["best", "gpt-4o"]
    assert nothing.json() == {"object": "list", "data": []}


async def test_one_model_is_shown_by_a_name_with_slashes(world: World, tmp_path: Path) -> None:
    slashed = world.seed.model("vendor/with/slashes")
    world.seed.source(slashed, world.acme)
    async with running_router(tmp_path, world.seed) as router:
        shown = await router.sdk.models.retrieve("vendor/with/slashes")
        unknown = await router.http.get("/v1/models/vendor/unknown")

    assert (shown.id, shown.object) == ("vendor/with/slashes", "model")
    assert unknown.status_code == 404


async def test_administrative_paths_need_the_administrators_token(router: RunningRouter) -> None:
    answer = await router.http.get("/api/v1/cache")

    assert answer.status_code == 401


async def test_a_services_token_opens_the_state_of_the_cache_and_no_more(router: RunningRouter) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    paths = ("/api/v1/cache", "/api/v1/breakers")
    answers = [await router.http.get(path, headers=headers) for path in paths]

    assert [answer.status_code for answer in answers] == [200, 403]


async def test_half_a_request_that_ends_harms_nobody(router: RunningRouter) -> None:
    connection, _ = await _begin_request(router)
    connection.close()
    await connection.wait_closed()

    assert (await router.complete()).status_code == 200


async def _begin_request(router: RunningRouter) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    """Promise a body and send one byte of it."""
    host, port = router.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 99\r\n"
    writer.write(head.encode() + b"\r\n{")
    await writer.drain()
    return writer, reader
