import io
from typing import Any

import aiohttp
import pytest

from modelbus.simulator import BadInputError, Fault, Rule, Simulator
from modelbus.simulator.answers import Kind
from simulator.asking import Asking


async def put(http: aiohttp.ClientSession, path: str, content: object) -> Any:
    async with http.put(f"/_control/{path}", json=content) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def requests_to(http: aiohttp.ClientSession, provider: str) -> Any:
    async with http.get(f"/_control/{provider}/requests") as answer:
        return (await answer.json())["requests"]


async def test_the_state_tells_listing_keys_behaviours_and_counts(http: aiohttp.ClientSession, ask: Asking) -> None:
    await put(http, "openai/behaviours", [{"path": "chat", "times": 1, "fault": {"status": 500}}])
    async with ask.openai():
        pass

    async with http.get("/_control") as answer:
        openai = (await answer.json())["providers"]["openai"]

    assert openai == {
        "prefix": "/openai/v1",
        "listing": {"name": "default", "models": 8},
        "keys": ["sim-openai-key-1", "sim-openai-key-2"],
        "behaviours": [
            {
                "path": "chat",
                "model": "*",
                "times": 1,
                "fault": {"status": 500},
                "applied": 1,
                "is_expired": True,
            }
        ],
        "requests": {"total": 1, "chat": 1},
    }


async def test_a_listing_can_be_a_recording(http: aiohttp.ClientSession) -> None:
    state = await put(http, "openrouter/listing", {"recording": "2025-04-23"})

    assert state["listing"] == {"name": "2025-04-23", "models": 302}


async def test_a_listing_can_be_raw_items_right_or_wrong(http: aiohttp.ClientSession, ask: Asking) -> None:
    items = [{"id": "gpt-9", "price": -1}, {"no": "id"}, 7]
    await put(http, "openai/listing", {"models": items})

    async with ask.models() as answer:
        assert (await answer.json())["data"] == items
    async with ask.openai(model="gpt-9") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("prefix", ["/openai/v1", "/openrouter/api/v1", "/anthropic/v1"])
async def test_a_listing_can_be_names(http: aiohttp.ClientSession, ask: Asking, prefix: str) -> None:
    await put(http, f"{prefix.split('/')[1]}/listing", {"names": ["one", "two"]})

    async with ask.models(prefix) as answer:
        assert [model["id"] for model in (await answer.json())["data"]] == ["one", "two"]


async def test_keys_can_be_replaced(http: aiohttp.ClientSession, ask: Asking) -> None:
    await put(http, "openai/keys", {"keys": ["new"]})

    async with ask.models() as answer:
        assert answer.status == 401
    async with http.get("/openai/v1/models", headers={"x-api-key": "new"}) as answer:
        assert answer.status == 200


async def test_a_provider_can_be_left_without_keys(http: aiohttp.ClientSession, ask: Asking) -> None:
    await put(http, "openai/keys", {"keys": []})

    async with ask.models() as answer:
        assert answer.status == 401


async def test_behaviours_come_in_force_and_go(http: aiohttp.ClientSession, ask: Asking) -> None:
    await put(http, "openai/behaviours", [{"model": "gpt-4o", "fault": {"status": 503, "body": "down"}}])
    async with ask.openai() as answer:
        assert (answer.status, await answer.text()) == (503, "down")

    await put(http, "openai/behaviours", [])
    async with ask.openai() as answer:
        assert answer.status == 200


async def test_requests_are_remembered_with_headers_and_body(http: aiohttp.ClientSession, ask: Asking) -> None:
    async with ask.openai(temperature=0.5):
        pass

    [request] = await requests_to(http, "openai")

    assert (request["method"], request["path"], request["kind"]) == ("POST", "/openai/v1/chat/completions", "chat")
    assert (request["model"], request["key"], request["status"]) == ("gpt-4o", "sim-openai-key-1", 200)
    assert (request["client_disconnected"], request["is_finished"]) == (False, True)
    assert request["body"]["temperature"] == 0.5
    assert request["headers"]["authorization"] == "Bearer sim-openai-key-1"
    assert request["at"].endswith("+00:00")


async def test_a_long_body_is_remembered_by_its_beginning(http: aiohttp.ClientSession, ask: Asking) -> None:
    async with ask.openai(messages=[{"role": "user", "content": "x" * 100_000}]):
        pass

    [request] = await requests_to(http, "openai")

    assert len(request["body"]) == 64 * 1024
    assert request["body_bytes"] > 100_000


async def test_the_last_thousand_requests_are_remembered(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    for number in range(1001):
        simulator.openai.begin_exchange(Kind.CHAT, "POST", f"/{number}", {})

    requests = await requests_to(http, "openai")

    assert (len(requests), requests[0]["path"], requests[-1]["path"]) == (1000, "/1", "/1000")


async def test_requests_can_be_forgotten(http: aiohttp.ClientSession, ask: Asking) -> None:
    async with ask.openai():
        pass

    async with http.delete("/_control/openai/requests") as answer:
        assert answer.status == 204

    assert await requests_to(http, "openai") == []


async def test_a_reset_brings_everything_back(http: aiohttp.ClientSession, ask: Asking, simulator: Simulator) -> None:
    simulator.openai.serve_names("one")
    simulator.openai.accept_keys("new")
    simulator.openai.misbehave(Fault(status=500))

    async with http.post("/_control/reset") as answer:
        state = (await answer.json())["providers"]["openai"]

    assert (state["listing"]["name"], state["behaviours"]) == ("default", [])
    async with ask.openai() as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "content", "field"),
    [
        ("openai/listing", {}, "body"),
        ("openai/listing", [], "body"),
        ("openai/listing", {"names": ["a"], "models": []}, "body"),
        ("openai/listing", {"name": ["a"]}, "name"),
        ("openai/listing", {"names": []}, "names"),
        ("openai/listing", {"names": ["a", "a"]}, "names"),
        ("openai/listing", {"names": [1]}, "names"),
        ("openai/listing", {"models": {}}, "models"),
        ("openai/listing", {"recording": "2025-04-23"}, "recording"),
        ("openrouter/listing", {"recording": "1999-01-01"}, "recording"),
        ("openrouter/listing", {"recording": None}, "recording"),
        ("openai/keys", {}, "keys"),
        ("openai/keys", {"keys": "one"}, "keys"),
        ("openai/keys", {"keys": [None]}, "keys"),
        ("openai/behaviours", {}, "body"),
        ("openai/behaviours", [7], "[0]"),
        ("openai/behaviours", [{}], "[0].fault"),
        ("openai/behaviours", [{"fault": {}}, {"fault": 7}], "[1].fault"),
        ("openai/behaviours", [{"fault": {}, "modle": "x"}], "[0].modle"),
        ("openai/behaviours", [{"fault": {}, "path": "messages"}], "[0].path"),
        ("openai/behaviours", [{"fault": {}, "model": 7}], "[0].model"),
        ("openai/behaviours", [{"fault": {}, "key": ""}], "[0].key"),
        ("openai/behaviours", [{"fault": {}, "times": 0}], "[0].times"),
        ("openai/behaviours", [{"fault": {"latency": 1}}], "[0].fault.latency"),
        ("openai/behaviours", [{"fault": {"latency_ms": -1}}], "[0].fault.latency_ms"),
        ("openai/behaviours", [{"fault": {"latency_ms": True}}], "[0].fault.latency_ms"),
        ("openai/behaviours", [{"fault": {"latency_ms": None}}], "[0].fault.latency_ms"),
        ("openai/behaviours", [{"fault": {"latency_ms": float("nan")}}], "[0].fault.latency_ms"),
        ("openai/behaviours", [{"fault": {"hang_seconds": 121}}], "[0].fault.hang_seconds"),
        ("openai/behaviours", [{"fault": {"status": 99}}], "[0].fault.status"),
        ("openai/behaviours", [{"fault": {"html": 1}}], "[0].fault.html"),
        ("openai/behaviours", [{"fault": {"headers": {"a": "b\r\nc: d"}}}], "[0].fault.headers"),
        ("openai/behaviours", [{"fault": {"headers": {"Content-Length": "1"}}}], "[0].fault.headers"),
        ("openai/behaviours", [{"fault": {"redirect_to": "a\nb"}}], "[0].fault.redirect_to"),
    ],
)
async def test_a_wrong_wish_is_refused_by_its_field_and_changes_nothing(
    http: aiohttp.ClientSession, path: str, content: object, field: str
) -> None:
    async with http.get("/_control") as answer:
        before = await answer.json()

    async with http.put(f"/_control/{path}", json=content) as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["status"], problem["field"]) == (422, 422, field)
    assert problem["detail"] == f"{field} should be {problem['should_be']}"
    async with http.get("/_control") as answer:
        assert await answer.json() == before


async def test_what_is_no_json_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.put("/_control/openai/keys", data=b"{") as answer:
        assert answer.status == 422
        assert (await answer.json(content_type=None))["field"] == "body"


async def test_a_body_beyond_the_limit_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.put("/_control/openai/keys", data=io.BytesIO(b" " * (16 * 1024**2 + 1))) as answer:
        assert answer.status == 413
        assert (await answer.json(content_type=None))["field"] == "body"


async def test_an_unknown_provider_is_not_found(http: aiohttp.ClientSession) -> None:
    async with http.put("/_control/azure/keys", json={"keys": []}) as answer:
        assert answer.status == 404
        assert "openrouter" in (await answer.json(content_type=None))["should_be"]


def test_python_is_refused_the_same_wishes(simulator: Simulator) -> None:
    with pytest.raises(BadInputError, match="latency_ms should be a number from 0"):
        Fault(latency_ms=-1)
    with pytest.raises(BadInputError, match="times should be a whole number from 1"):
        Rule(fault=Fault(), times=0)
    with pytest.raises(BadInputError, match="path should be one of"):
        simulator.anthropic.misbehave(Fault(), path="chat")
    with pytest.raises(BadInputError, match="names should be"):
        simulator.openai.serve_names()
