import base64
import io
from array import array
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from modelbus.simulator import Simulator
from simulator.asking import Asking

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo"]}, "days": {"type": "integer"}},
        },
    },
}


async def test_the_sdk_lists_the_default_models(sdk: Any) -> None:
    names = [model.id async for model in sdk.models.list()]

    assert len(names) == 8
    assert {"gpt-4o", "o1-mini", "text-embedding-3-small"} <= set(names)


async def test_a_completion_names_who_answered_and_counts_words(sdk: Any) -> None:
    answer = await sdk.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "one two three"}])

    assert answer.choices[0].message.content == "Hello from gpt-4o at openai: 3 words heard"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 8, 11)


async def test_words_are_heard_in_every_text_part(sdk: Any) -> None:
    parts = [
        {"type": "text", "text": "four words are here"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    ]

    answer = await sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "system", "content": "be brief"}, {"role": "user", "content": parts}]
    )

    assert answer.usage.prompt_tokens == 6


async def test_a_stream_says_the_same_as_a_completion_and_ends_with_usage(sdk: Any) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "one two"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]

    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == "Hello from gpt-4o-mini at openai: 2 words heard"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 10


async def test_a_stream_without_the_option_has_no_usage(sdk: Any) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
    )

    assert [chunk.usage async for chunk in stream if chunk.usage] == []


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_the_limit_cuts_the_reply(sdk: Any, limit: str) -> None:
    answer = await sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], **{limit: 2}
    )

    assert answer.choices[0].message.content == "Hello from"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
async def test_a_required_tool_is_called_with_plausible_arguments(sdk: Any, choice: object) -> None:
    answer = await sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], tools=[WEATHER], tool_choice=choice
    )

    [call] = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert call.function.arguments == '{"city": "Oslo", "days": 1}'
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_a_streamed_tool_call_arrives_in_pieces(sdk: Any) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "hi"}],
        tools=[WEATHER],
        tool_choice="required",
        stream=True,
    )
    chunks = [chunk.choices[0] async for chunk in stream]
    calls = [chunk.delta.tool_calls[0] for chunk in chunks if chunk.delta.tool_calls]

    assert calls[0].function.name == "get_weather"
    assert "".join(call.function.arguments for call in calls) == '{"city": "Oslo", "days": 1}'
    assert len(calls) > 2
    assert chunks[-1].finish_reason == "tool_calls"


async def test_tools_that_need_not_be_called_are_not(sdk: Any) -> None:
    answer = await sdk.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], tools=[WEATHER]
    )

    assert answer.choices[0].message.tool_calls is None


async def test_embeddings_are_unit_vectors_and_the_same_for_the_same_text(sdk: Any) -> None:
    answer = await sdk.embeddings.create(
        model="text-embedding-3-large", input=["one two", "one two", "three"], dimensions=100
    )
    first, second, third = (item.embedding for item in answer.data)

    assert len(first) == 100
    assert sum(value * value for value in first) == pytest.approx(1, abs=1e-4)
    assert first == second != third
    assert answer.usage.total_tokens == 5


async def test_embeddings_come_packed_or_as_numbers(http: aiohttp.ClientSession) -> None:
    async def embed(encoding_format: str) -> Any:
        body = {"model": "text-embedding-3-small", "input": "hi", "encoding_format": encoding_format}
        headers = {"x-api-key": "sim-openai-key-2"}
        async with http.post("/openai/v1/embeddings", json=body, headers=headers) as answer:
            return (await answer.json())["data"][0]["embedding"]

    packed, numbers = await embed("base64"), await embed("float")

    assert len(numbers) == 1536
    assert array("f", base64.b64decode(packed)).tolist() == numbers


async def test_a_wrong_key_is_refused(simulator: Simulator) -> None:
    url = simulator.base_url(simulator.openai)
    async with AsyncOpenAI(base_url=url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.models.list()

    assert refused.value.code == "invalid_api_key"


async def test_no_key_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.get("/openai/v1/models") as answer:
        assert answer.status == 401


async def test_an_unlisted_model_is_not_found(sdk: Any, simulator: Simulator) -> None:
    simulator.openai.serve_names("gpt-5")

    with pytest.raises(openai.NotFoundError) as refused:
        await sdk.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])

    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": []},
        {"messages": "hello"},
        {"messages": ["hello"]},
        {"model": None},
        {"model": ["gpt-4o"]},
        {"max_tokens": 0},
        {"max_tokens": "many"},
        {"stream": "yes"},
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "unknown"}}},
        {"tools": [{}], "tool_choice": "required"},
    ],
)
async def test_a_wrong_request_is_refused_in_openais_shape(ask: Asking, fields: dict[str, object]) -> None:
    async with ask.openai(**fields) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 200_000])
async def test_a_body_that_is_no_object_is_refused(http: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"Authorization": "Bearer sim-openai-key-1"}
    async with http.post("/openai/v1/chat/completions", data=body, headers=headers) as answer:
        assert answer.status == 400


async def test_a_body_that_cannot_be_unpacked_is_refused(http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": "Bearer sim-openai-key-1", "Content-Encoding": "gzip"}
    async with http.post("/openai/v1/chat/completions", data=b"{}", headers=headers) as answer:
        assert answer.status == 400


async def test_a_body_beyond_the_limit_is_refused(http: aiohttp.ClientSession) -> None:
    headers = {"Authorization": "Bearer sim-openai-key-1"}
    body = io.BytesIO(b" " * (16 * 1024**2 + 1))
    async with http.post("/openai/v1/chat/completions", data=body, headers=headers) as answer:
        assert answer.status == 413


async def test_an_unknown_path_is_refused_in_openais_shape(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    async with http.get("/openai/v2/models") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["code"] == "unknown_url"
    assert simulator.openai.exchanges[-1].path == "/openai/v2/models"
