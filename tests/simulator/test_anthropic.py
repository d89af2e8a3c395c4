import json
from typing import Any

import aiohttp
import pytest

from simulator.asking import Asking

TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {"where": {"type": "string"}}}}


async def events_of(answer: aiohttp.ClientResponse) -> list[tuple[str, Any]]:
    blocks = (await answer.text()).strip().split("\n\n")
    parsed = [block.split("\n") for block in blocks]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in parsed]


async def test_the_listing_is_paged(ask: Asking) -> None:
    async with ask.models("/anthropic/v1", limit="3") as answer:
        first = await answer.json()
    async with ask.models("/anthropic/v1", limit="3", after_id=first["last_id"]) as answer:
        second = await answer.json()

    assert (len(first["data"]), first["has_more"], first["first_id"]) == (3, True, first["data"][0]["id"])
    assert (len(second["data"]), second["has_more"]) == (1, False)
    assert second["data"][0]["type"] == "model"


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"after_id": "unknown"}])
async def test_a_wrong_page_is_refused(ask: Asking, query: dict[str, str]) -> None:
    async with ask.models("/anthropic/v1", **query) as answer:
        assert answer.status == 400


async def test_a_message_names_who_answered_and_counts_words(ask: Asking) -> None:
    async with ask.anthropic(system="be kind") as answer:
        message = await answer.json()

    assert message["content"] == [
        {"type": "text", "text": "Hello from claude-3-5-haiku-20241022 at anthropic: 5 words heard"}
    ]
    assert message["stop_reason"] == "end_turn"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (5, 8)


async def test_counting_tokens_agrees_with_the_usage(ask: Asking) -> None:
    async with ask.anthropic("messages/count_tokens", system="be kind") as answer:
        assert await answer.json() == {"input_tokens": 5}


async def test_a_stream_has_the_events_of_a_real_one(ask: Asking) -> None:
    async with ask.anthropic(stream=True) as answer:
        events = await events_of(answer)

    names = [name for name, _ in events]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    assert names[3:-3] == ["content_block_delta"] * 8
    assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert all(name == content["type"] for name, content in events)
    said = "".join(content["delta"]["text"] for name, content in events if name == "content_block_delta")
    assert said == "Hello from claude-3-5-haiku-20241022 at anthropic: 3 words heard"
    assert events[-2][1]["usage"] == {"output_tokens": 8}
    assert events[-2][1]["delta"]["stop_reason"] == "end_turn"


async def test_max_tokens_cuts_the_reply(ask: Asking) -> None:
    async with ask.anthropic(max_tokens=1) as answer:
        message = await answer.json()

    assert message["content"][0]["text"] == "Hello"
    assert message["stop_reason"] == "max_tokens"


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "look"}])
async def test_a_required_tool_is_used(ask: Asking, choice: object) -> None:
    async with ask.anthropic(tools=[TOOL], tool_choice=choice) as answer:
        message = await answer.json()

    assert message["content"][0]["name"] == "look"
    assert message["content"][0]["input"] == {"where": "text"}
    assert message["stop_reason"] == "tool_use"


async def test_a_streamed_tool_use_arrives_as_partial_json(ask: Asking) -> None:
    async with ask.anthropic(tools=[TOOL], tool_choice={"type": "any"}, stream=True) as answer:
        events = await events_of(answer)

    assert events[1][1]["content_block"] == {
        "type": "tool_use",
        "id": events[1][1]["content_block"]["id"],
        "name": "look",
        "input": {},
    }
    partial = "".join(content["delta"].get("partial_json", "") for _, content in events if "delta" in content)
    assert json.loads(partial) == {"where": "text"}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": []}, "messages: Field required"),
        ({"model": ""}, "model: Field required"),
    ],
)
async def test_a_wrong_request_is_refused_in_anthropics_shape(
    ask: Asking, fields: dict[str, object], complaint: str
) -> None:
    async with ask.of("anthropic", **fields) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == {"type": "invalid_request_error", "message": complaint}


async def test_the_version_is_required(http: aiohttp.ClientSession) -> None:
    async with http.get("/anthropic/v1/models", headers={"x-api-key": "sim-anthropic-key-1"}) as answer:
        assert answer.status == 400
        assert "anthropic-version" in await answer.text()


async def test_a_wrong_key_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.get("/anthropic/v1/models", headers={"x-api-key": "wrong"}) as answer:
        assert answer.status == 401
        assert (await answer.json())["error"]["type"] == "authentication_error"


async def test_an_unlisted_model_is_not_found(ask: Asking) -> None:
    async with ask.anthropic(model="claude-9") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"] == {"type": "not_found_error", "message": "model: claude-9"}
