from importlib import resources

import aiohttp
import pytest
from openai import AsyncOpenAI

from modelbus.simulator import Simulator
from simulator.asking import Asking


def recorded(date: str) -> bytes:
    return (resources.files("modelbus.simulator") / f"recordings/openrouter_models_{date}.json").read_bytes()


async def test_the_listing_is_open_and_byte_for_byte_the_recorded_one(http: aiohttp.ClientSession) -> None:
    async with http.get("/openrouter/api/v1/models") as answer:
        assert await answer.read() == recorded("2024-11-10")


async def test_another_recording_can_be_served(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    simulator.openrouter.serve_recording("2025-04-23")

    async with http.get("/openrouter/api/v1/models") as answer:
        assert await answer.read() == recorded("2025-04-23")
    assert len(simulator.openrouter.listing.ids) == 302


async def test_models_given_by_name_are_listed_with_prices_as_texts(
    http: aiohttp.ClientSession, simulator: Simulator
) -> None:
    simulator.openrouter.serve_names("maker/model")

    async with http.get("/openrouter/api/v1/models") as answer:
        [model] = (await answer.json())["data"]
    assert model["id"] == "maker/model"
    assert isinstance(model["pricing"]["prompt"], str)


async def test_the_sdk_streams_past_the_comments(simulator: Simulator) -> None:
    url = simulator.base_url(simulator.openrouter)
    async with AsyncOpenAI(base_url=url, api_key="sim-openrouter-key-1", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="openai/gpt-4o", messages=[{"role": "user", "content": "one two three"}], stream=True
        )
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    assert said == "Hello from openai/gpt-4o at openrouter: 3 words heard"


async def test_a_stream_begins_with_a_comment(ask: Asking) -> None:
    async with ask.openrouter(stream=True) as answer:
        assert (await answer.content.readline()).startswith(b": ")


async def test_a_wrong_key_is_refused_with_the_status_as_code(http: aiohttp.ClientSession) -> None:
    async with http.post(
        "/openrouter/api/v1/chat/completions", json={}, headers={"Authorization": "Bearer sim-openai-key-1"}
    ) as answer:
        assert answer.status == 401
        assert (await answer.json())["error"] == {"message": "User not found.", "code": 401}


async def test_an_unlisted_model_is_not_found(ask: Asking) -> None:
    async with ask.openrouter(model="gpt-4o") as answer:
        assert answer.status == 404
        assert (await answer.json())["error"]["message"] == "No endpoints found for gpt-4o."


@pytest.mark.parametrize("date", ["2024-11-10", "2025-04-23"])
async def test_every_recorded_model_can_be_asked(ask: Asking, simulator: Simulator, date: str) -> None:
    simulator.openrouter.serve_recording(date)
    name = min(simulator.openrouter.listing.ids)

    async with ask.openrouter(model=name) as answer:
        assert answer.status == 200
