from uuid import UUID

import httpx
import openai
import pytest

from modelbus.simulator import Fault, Simulator
from router.routers import KEY, MESSAGES, PROMPT, RunningRouter
from router.world import World


async def test_the_official_client_completes(router: RunningRouter) -> None:
    completion = await router.sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    assert completion.choices[0].message.content == "Hello from gpt-4o at openai: 3 words heard"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == 3


async def test_the_official_client_streams_and_sees_no_usage_that_it_did_not_ask_for(router: RunningRouter) -> None:
    stream = await router.sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)

    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).startswith("Hello from gpt-4o")
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


async def test_the_official_client_sees_the_usage_that_it_asked_for(router: RunningRouter) -> None:
    stream = await router.sdk.chat.completions.create(
        model="gpt-4o", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )

    chunks = [chunk async for chunk in stream]

    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 3


async def test_the_answer_says_who_served_after_how_many_attempts_and_at_which_revision(
    router: RunningRouter, world: World
) -> None:
    answer = await router.complete()

    assert answer.headers["x-modelbus-source"] == str(world.at_acme.id)
    assert answer.headers["x-modelbus-attempts"] == "1"
    assert answer.headers["x-modelbus-revision"] == "1"
    assert UUID(answer.headers["x-request-id"]).version == 7


async def test_the_callers_own_request_id_comes_back(router: RunningRouter) -> None:
    answer = await router.http.post("/v1/chat/completions", json=PROMPT, headers={"x-request-id": "mine-1"})

    assert answer.headers["x-request-id"] == "mine-1"


async def test_unknown_fields_reach_the_supplier_and_the_callers_headers_do_not(
    router: RunningRouter, simulator: Simulator
) -> None:
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"seed":1.50,"x_new":{"a":[1 ,2]}}'

    await router.http.post("/v1/chat/completions", content=body, headers={"x-secret": "s", "cookie": "c=1"})

    [exchange] = simulator.openai.exchanges
    assert b'"seed":1.50' in exchange.body
    assert b'"x_new":{"a":[1 ,2]}' in exchange.body
    assert {name.lower() for name in exchange.headers}.isdisjoint({"x-secret", "cookie"})
    assert exchange.headers["Authorization"] == "Bearer sim-openai-key-1"


async def test_the_key_may_come_as_x_api_key(router: RunningRouter) -> None:
    async with httpx.AsyncClient(base_url=router.url, headers={"x-api-key": KEY}) as http:
        answer = await http.post("/v1/chat/completions", json=PROMPT)

    assert answer.status_code == 200


async def test_the_suppliers_word_on_a_wrong_request_is_passed_on(router: RunningRouter, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(context_length_exceeded=True))

    with pytest.raises(openai.BadRequestError) as refused:
        await router.sdk.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    assert refused.value.code == "context_length_exceeded"
    assert len(simulator.openrouter.exchanges) == 0


async def test_tools_travel_both_ways(router: RunningRouter) -> None:
    parameters: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}
    completion = await router.sdk.chat.completions.create(
        model="gpt-4o",
        messages=MESSAGES,
        tools=[{"type": "function", "function": {"name": "weather", "parameters": parameters}}],
        tool_choice="required",
    )

    calls = completion.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "weather"
