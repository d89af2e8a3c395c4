"""The official anthropic client, unchanged, at suppliers of both protocols."""

import asyncio
from typing import Any, cast

import anthropic
import pytest

from modelbus.simulator import Fault, Simulator
from router.claude import CLAUDE, GPT, KEY_FOR_NOTHING, Sdks, TwoProtocols, both, provider_of, sdks_at
from router.test_translated_streams import CHUNKS
from running import eventually

HELLO: list[Any] = [{"role": "user", "content": "one two three"}]
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
IMAGE: dict[str, Any] = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}


@both
async def test_a_message_is_answered(sdks: Sdks, model: str) -> None:
    message = await sdks.anthropic.messages.create(model=model, max_tokens=100, messages=HELLO, system="be brief")

    [block] = message.content
    assert block.type == "text"
    assert block.text.startswith(f"Hello from {model} at")
    assert block.text.endswith("5 words heard")
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (5, 8)
    assert message.usage.cache_read_input_tokens == 0


@both
async def test_a_message_that_is_cut_by_its_limit_says_so(sdks: Sdks, model: str) -> None:
    message = await sdks.anthropic.messages.create(model=model, max_tokens=3, messages=HELLO)

    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 3


@both
async def test_a_streamed_message_is_accumulated(sdks: Sdks, model: str) -> None:
    kinds = []
    async with sdks.anthropic.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
        kinds = [event.type async for event in stream]
        message = await stream.get_final_message()

    [block] = message.content
    assert block.type == "text"
    assert block.text.startswith(f"Hello from {model}")
    assert (message.stop_reason, message.usage.input_tokens, message.usage.output_tokens) == ("end_turn", 3, 8)
    assert kinds[0] == "message_start"
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@both
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_a_tool_is_called_and_its_result_taken(
    sdks: Sdks, simulator: Simulator, model: str, *, is_streamed: bool
) -> None:
    asked: dict[str, Any] = {
        "model": model,
        "max_tokens": 100,
        "messages": HELLO,
        "tools": [WEATHER],
        "tool_choice": {"type": "any"},
    }
    if is_streamed:
        async with sdks.anthropic.messages.stream(**asked) as stream:
            message = await stream.get_final_message()
    else:
        message = await sdks.anthropic.messages.create(**asked)
    [call] = message.content
    assert call.type == "tool_use"
    assert (call.name, call.input, message.stop_reason) == ("weather", {"city": "text"}, "tool_use")

    result = {"type": "tool_result", "tool_use_id": call.id, "content": "It is sunny"}
    turns = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    answer = await sdks.anthropic.messages.create(model=model, max_tokens=100, messages=turns, tools=[WEATHER])  # type: ignore[list-item]

    assert answer.stop_reason == "end_turn"
    assert provider_of(simulator, model).counts.total() == 2


async def test_parallel_calls_of_tools_are_accumulated_from_openais_pieces(sdks: Sdks, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(body=CHUNKS.decode(), content_type="text/event-stream"))

    async with sdks.anthropic.messages.stream(
        model=GPT, max_tokens=99, messages=HELLO, tools=[cast("Any", WEATHER)]
    ) as stream:
        message = await stream.get_final_message()

    thought, text, *calls = message.content
    assert (thought.type, text.type, message.stop_reason) == ("thinking", "text", "tool_use")
    assert [(call.id, call.name, call.input) for call in calls if call.type == "tool_use"] == [
        ("a", "f", {"city": "Rome"}),
        ("b", "g", {}),
    ]
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (7, 3, 9)


@both
async def test_an_image_reaches_the_supplier(sdks: Sdks, simulator: Simulator, model: str) -> None:
    turns: list[Any] = [{"role": "user", "content": [IMAGE, {"type": "text", "text": "what is it"}]}]

    await sdks.anthropic.messages.create(model=model, max_tokens=10, messages=turns)

    assert b"iVBORw0KGgo=" in provider_of(simulator, model).exchanges[-1].body


async def test_tokens_are_counted_by_a_supplier_that_can(sdks: Sdks) -> None:
    counted = await sdks.anthropic.messages.count_tokens(model=CLAUDE, messages=HELLO, system="be brief")

    assert counted.input_tokens == 5


async def test_tokens_are_estimated_where_no_supplier_can_count(sdks: Sdks, simulator: Simulator) -> None:
    counted = await sdks.anthropic.messages.with_raw_response.count_tokens(
        model=GPT, messages=[{"role": "user", "content": "word " * 800}]
    )

    assert 1000 <= (await counted.parse()).input_tokens <= 1020
    assert counted.headers["x-modelbus-estimate"] == "true"
    assert not simulator.openai.exchanges


async def test_the_models_are_listed_in_anthropics_shape(sdks: Sdks) -> None:
    page = await sdks.anthropic.models.list()
    listed = [model async for model in page]
    shown = await sdks.anthropic.models.retrieve(CLAUDE)

    assert [model.id for model in listed] == [CLAUDE, "either", GPT, "text-embedding-3-small"]
    assert (page.has_more, page.first_id, page.last_id) == (False, CLAUDE, "text-embedding-3-small")
    assert (shown.id, shown.type, shown.display_name) == (CLAUDE, "model", CLAUDE)
    assert shown.created_at.year >= 2024


async def test_the_request_id_and_who_served_are_in_the_headers(sdks: Sdks, catalog: TwoProtocols) -> None:
    raw = await sdks.anthropic.messages.with_raw_response.create(model=CLAUDE, max_tokens=10, messages=HELLO)

    assert raw.headers["x-modelbus-source"] == str(catalog.at_anthropic.id)
    assert raw.request_id == raw.headers["x-request-id"]


async def test_an_anthropic_body_goes_on_byte_for_byte_with_its_version_and_betas(
    sdks: Sdks, simulator: Simulator
) -> None:
    body = b'{"model":"%b","max_tokens":9,"x_new":{"a":[1 ,2]},"messages":[{"role":"user","content":"hi"}]}'
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "a-1,b-2", "x-secret": "s"}

    await sdks.http.post("/v1/messages", content=body % CLAUDE.encode(), headers=headers)
    await sdks.http.post("/v1/messages", content=body % CLAUDE.encode(), headers={"anthropic-beta": 'x"y'})

    sent, plain = simulator.anthropic.exchanges
    assert b'"x_new":{"a":[1 ,2]}' in sent.body
    assert (sent.headers["anthropic-version"], sent.headers["anthropic-beta"]) == ("2023-06-01", "a-1,b-2")
    assert "x-secret" not in sent.headers
    assert sent.headers["x-api-key"] == "sim-anthropic-key-1"
    assert "authorization" not in sent.headers
    assert plain.headers["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in plain.headers


async def test_an_anthropic_stream_goes_on_byte_for_byte(sdks: Sdks, simulator: Simulator) -> None:
    asked = {"model": CLAUDE, "max_tokens": 50, "messages": HELLO, "stream": True}
    passed = await sdks.http.post("/v1/messages", json=asked)
    direct = await sdks.http.post(
        simulator.base_url(simulator.anthropic) + "/messages",
        json=asked,
        headers={"x-api-key": "sim-anthropic-key-1", "anthropic-version": "2023-06-01"},
    )

    serial = b"msg_0000000001", b"msg_0000000002"
    assert passed.content.replace(*serial) == direct.content


@both
async def test_a_wrong_key_is_an_authentication_error(sdks: Sdks, model: str) -> None:
    with pytest.raises(anthropic.AuthenticationError) as refused:
        await sdks.anthropic.with_options(api_key="wrong").messages.create(model=model, max_tokens=1, messages=HELLO)

    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "error"
    assert refused.value.body["error"]["type"] == "authentication_error"
    assert refused.value.request_id


async def test_a_model_that_the_key_may_not_call_is_a_permission_error(sdks: Sdks) -> None:
    client = sdks.anthropic.with_options(api_key=KEY_FOR_NOTHING)
    with pytest.raises(anthropic.PermissionDeniedError, match="may not call") as refused:
        await client.messages.create(model=CLAUDE, max_tokens=1, messages=HELLO)

    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["type"] == "permission_error"


async def test_an_unknown_model_is_not_found(sdks: Sdks) -> None:
    with pytest.raises(anthropic.NotFoundError, match="does not exist"):
        await sdks.anthropic.messages.create(model="nobody", max_tokens=1, messages=HELLO)


async def test_a_missing_field_is_a_bad_request(sdks: Sdks) -> None:
    with pytest.raises(anthropic.BadRequestError, match="messages"):
        await sdks.anthropic.messages.create(model=CLAUDE, max_tokens=1, messages=[])


@both
async def test_the_suppliers_complaint_comes_in_anthropics_envelope(
    sdks: Sdks, simulator: Simulator, model: str
) -> None:
    provider_of(simulator, model).misbehave(Fault(context_length_exceeded=True))

    with pytest.raises(anthropic.BadRequestError) as refused:
        await sdks.anthropic.messages.create(model=model, max_tokens=1, messages=HELLO)

    assert isinstance(refused.value.body, dict)
    assert refused.value.body["type"] == "error"
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    assert "maximum" in refused.value.body["error"]["message"]


@both
@pytest.mark.parametrize("status", [500, 503])
async def test_a_supplier_that_fails_is_an_internal_server_error(
    sdks: Sdks, simulator: Simulator, model: str, status: int
) -> None:
    provider_of(simulator, model).misbehave(Fault(status=status))

    with pytest.raises(anthropic.InternalServerError, match=f"answered {status}"):
        await sdks.anthropic.messages.create(model=model, max_tokens=1, messages=HELLO)


@both
async def test_its_own_retry_waits_as_long_as_it_is_told_and_is_served(
    sdks: Sdks, simulator: Simulator, model: str
) -> None:
    provider_of(simulator, model).misbehave(Fault(status=429, headers={"retry-after": "1"}), times=1)
    began = asyncio.get_running_loop().time()

    async with sdks_at(sdks.url, max_retries=1) as patient:
        message = await patient.anthropic.messages.create(model=model, max_tokens=10, messages=HELLO)

    assert message.stop_reason == "end_turn"
    assert asyncio.get_running_loop().time() - began >= 1


@both
async def test_a_stream_that_is_cut_ends_in_an_error_event(sdks: Sdks, simulator: Simulator, model: str) -> None:
    provider_of(simulator, model).misbehave(Fault(cut_after_tokens=2, tokens_per_second=100))

    with pytest.raises(anthropic.APIStatusError, match="broke off"):
        async with sdks.anthropic.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
            _ = [event async for event in stream]


@both
async def test_leaving_a_stream_cancels_it_at_the_supplier(sdks: Sdks, simulator: Simulator, model: str) -> None:
    provider = provider_of(simulator, model)
    provider.misbehave(Fault(tokens_per_second=20, reply_tokens=1000))

    async with sdks.anthropic.messages.stream(model=model, max_tokens=2000, messages=HELLO) as stream:
        async for event in stream:
            if event.type == "text":
                break

    await eventually(lambda: provider.exchanges[-1].client_disconnected)


async def test_a_chain_falls_over_from_one_protocol_to_the_other(sdks: Sdks, simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(status=500))

    message = await sdks.anthropic.messages.create(model="either", max_tokens=100, messages=HELLO)

    [block] = message.content
    assert block.type == "text"
    assert block.text.startswith("Hello from gpt-4o at openai")


async def test_an_account_out_of_credit_is_no_fault_of_the_request(sdks: Sdks, simulator: Simulator) -> None:
    words = "Your credit balance is too low to access the Anthropic API."
    error = {"type": "invalid_request_error", "message": words}
    simulator.anthropic.misbehave(Fault(status=400, body={"type": "error", "error": error}))

    message = await sdks.anthropic.messages.create(model="either", max_tokens=9, messages=HELLO)

    assert message.model == GPT


async def test_what_nobody_can_be_asked_names_the_field(sdks: Sdks) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}

    with pytest.raises(anthropic.BadRequestError, match=r"tools\[0\]") as refused:
        await sdks.anthropic.messages.create(model=GPT, max_tokens=1, messages=HELLO, tools=[search])

    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["param"] == "tools[0]"


async def test_structured_output_is_asked_of_the_other_protocol(sdks: Sdks, simulator: Simulator) -> None:
    schema: Any = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}

    await sdks.anthropic.messages.create(
        model=GPT,
        max_tokens=10,
        messages=HELLO,
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )

    assert b'"response_format":{"type":"json_schema"' in simulator.openai.exchanges[-1].body
