"""The official openai client, unchanged, at suppliers of both protocols and at endpoints that are passed through."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from modelbus.simulator import Fault, Simulator
from router.claude import CLAUDE, GPT, KEY_FOR_NOTHING, Sdks, TwoProtocols, both, provider_of, running_sdks, sdks_at
from router.test_translated_streams import MESSAGE
from running import eventually

HELLO: list[Any] = [{"role": "user", "content": "one two three"}]
PARAMETERS: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}


class Answer(BaseModel):
    city: str
    degrees: int


@both
async def test_a_completion_is_answered(sdks: Sdks, model: str) -> None:
    system: Any = {"role": "system", "content": "be brief"}

    completion = await sdks.openai.chat.completions.create(model=model, messages=[system, *HELLO])

    [choice] = completion.choices
    assert choice.message.content is not None
    assert choice.message.content.startswith(f"Hello from {model} at")
    assert choice.message.content.endswith("5 words heard")
    assert (completion.object, choice.finish_reason, choice.message.role) == ("chat.completion", "stop", "assistant")
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (
        5,
        8,
        13,
    )


@both
@pytest.mark.parametrize("shows_usage", [False, True])
async def test_a_completion_is_streamed(sdks: Sdks, model: str, *, shows_usage: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if shows_usage else {}
    stream = await sdks.openai.chat.completions.create(model=model, messages=HELLO, stream=True, **options)

    chunks = [chunk async for chunk in stream]

    told = [chunk.usage for chunk in chunks if chunk.usage]
    said = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in said).startswith(f"Hello from {model}")
    assert said[0].delta.role == "assistant"
    assert said[-1].finish_reason == "stop"
    assert [usage.total_tokens for usage in told] == ([11] if shows_usage else [])


@both
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_a_tool_is_called_and_its_result_taken(
    sdks: Sdks, simulator: Simulator, model: str, *, is_streamed: bool
) -> None:
    asked: dict[str, Any] = {"model": model, "messages": HELLO, "tools": [WEATHER], "tool_choice": "required"}
    if is_streamed:
        async with sdks.openai.chat.completions.stream(**asked) as stream:
            completion: Any = await stream.get_final_completion()
    else:
        completion = await sdks.openai.chat.completions.create(**asked)
    [choice] = completion.choices
    [call] = choice.message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "text"})
    assert choice.finish_reason == "tool_calls"

    said = {"role": "assistant", "content": None, "tool_calls": [call.model_dump(exclude={"index"})]}
    result = {"role": "tool", "tool_call_id": call.id, "content": "It is sunny"}
    answer = await sdks.openai.chat.completions.create(
        model=model,
        messages=[*HELLO, said, result],  # type: ignore[list-item]
        tools=[WEATHER],
    )

    assert answer.choices[0].finish_reason == "stop"
    assert provider_of(simulator, model).counts.total() == 2


async def test_parallel_calls_of_tools_are_accumulated_from_anthropics_pieces(sdks: Sdks, simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(body=MESSAGE.decode(), content_type="text/event-stream"))

    async with sdks.openai.chat.completions.stream(model=CLAUDE, messages=HELLO, tools=[WEATHER]) as stream:
        message = (await stream.get_final_completion()).choices[0].message

    calls = [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]
    assert calls == [("a", "f", '{"city": "Rome"}'), ("b", "g", "{}")]
    assert message.content == 'I "look"\n\n'


@both
async def test_vision_parts_reach_the_supplier(sdks: Sdks, simulator: Simulator, model: str) -> None:
    content: Any = [
        {"type": "text", "text": "what is it"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]

    await sdks.openai.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])

    assert b"iVBORw0KGgo=" in provider_of(simulator, model).exchanges[-1].body


async def test_structured_output_is_parsed(sdks: Sdks, simulator: Simulator) -> None:
    said = {"role": "assistant", "content": '{"city": "Rome", "degrees": 30}'}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": GPT, "choices": []}
    choice = {"index": 0, "message": said, "finish_reason": "stop"}
    simulator.openai.misbehave(Fault(body=whole | {"choices": [choice]}))

    completion = await sdks.openai.chat.completions.parse(model=GPT, messages=HELLO, response_format=Answer)

    assert completion.choices[0].message.parsed == Answer(city="Rome", degrees=30)


async def test_structured_output_is_asked_of_anthropic_too(sdks: Sdks, simulator: Simulator) -> None:
    block = {"type": "text", "text": '{"city": "Rome", "degrees": 30}'}
    usage = {"input_tokens": 1, "output_tokens": 2}
    message = {"id": "m", "type": "message", "role": "assistant", "model": CLAUDE, "content": [block], "usage": usage}
    simulator.anthropic.misbehave(Fault(body=message | {"stop_reason": "end_turn"}))

    completion = await sdks.openai.chat.completions.parse(model=CLAUDE, messages=HELLO, response_format=Answer)

    assert completion.choices[0].message.parsed == Answer(city="Rome", degrees=30)
    assert b'"output_config":{"format":{"type":"json_schema"' in simulator.anthropic.exchanges[-1].body


async def test_what_anthropic_can_not_be_asked_names_the_field(sdks: Sdks) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await sdks.openai.chat.completions.create(model=CLAUDE, messages=HELLO, n=2)

    assert refused.value.param == "n"


async def test_a_chain_goes_on_to_whoever_can_be_asked(sdks: Sdks, simulator: Simulator) -> None:
    completion = await sdks.openai.chat.completions.create(model="either", messages=HELLO, logprobs=True)

    assert completion.model == GPT
    assert not simulator.anthropic.exchanges


@both
async def test_the_suppliers_complaint_comes_in_openais_envelope(sdks: Sdks, simulator: Simulator, model: str) -> None:
    provider_of(simulator, model).misbehave(Fault(context_length_exceeded=True))

    with pytest.raises(openai.BadRequestError, match="maximum") as refused:
        await sdks.openai.chat.completions.create(model=model, messages=HELLO)

    assert isinstance(refused.value.body, dict)
    assert refused.value.body.keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("asked", "raised"),
    [
        ({"api_key": "wrong"}, openai.AuthenticationError),
        ({"api_key": KEY_FOR_NOTHING}, openai.PermissionDeniedError),
        ({"model": "nobody"}, openai.NotFoundError),
        ({"messages": []}, openai.BadRequestError),
    ],
)
async def test_each_status_is_its_own_error(sdks: Sdks, asked: dict[str, Any], raised: type[openai.APIError]) -> None:
    client = sdks.openai.with_options(api_key=asked.pop("api_key", sdks.openai.api_key))

    with pytest.raises(raised) as refused:
        await client.chat.completions.create(**({"model": CLAUDE, "messages": HELLO} | asked))

    assert refused.value.code in {"invalid_api_key", "model_not_permitted", "model_not_found", "invalid_request"}


@both
async def test_a_supplier_that_fails_is_an_internal_server_error(sdks: Sdks, simulator: Simulator, model: str) -> None:
    provider_of(simulator, model).misbehave(Fault(status=500))

    with pytest.raises(openai.InternalServerError, match="answered 500"):
        await sdks.openai.chat.completions.create(model=model, messages=HELLO)


@both
async def test_its_own_retry_waits_as_long_as_it_is_told_and_is_served(
    sdks: Sdks, simulator: Simulator, model: str
) -> None:
    provider_of(simulator, model).misbehave(Fault(status=429, headers={"retry-after": "1"}), times=1)
    began = asyncio.get_running_loop().time()

    async with sdks_at(sdks.url, max_retries=1) as patient:
        completion = await patient.openai.chat.completions.create(model=model, messages=HELLO)

    assert completion.choices[0].finish_reason == "stop"
    assert asyncio.get_running_loop().time() - began >= 1


@both
async def test_a_stream_that_is_cut_raises(sdks: Sdks, simulator: Simulator, model: str) -> None:
    provider_of(simulator, model).misbehave(Fault(cut_after_tokens=2, tokens_per_second=100))
    stream = await sdks.openai.chat.completions.create(model=model, messages=HELLO, stream=True)

    with pytest.raises(openai.APIError, match="broke off"):
        _ = [chunk async for chunk in stream]


@both
async def test_leaving_a_stream_cancels_it_at_the_supplier(sdks: Sdks, simulator: Simulator, model: str) -> None:
    provider = provider_of(simulator, model)
    provider.misbehave(Fault(tokens_per_second=20, reply_tokens=1000))
    stream = await sdks.openai.chat.completions.create(
        model=model, messages=HELLO, stream=True, max_completion_tokens=2000
    )

    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()

    await eventually(lambda: provider.exchanges[-1].client_disconnected)


@both
async def test_the_headers_are_there_with_the_raw_response(sdks: Sdks, model: str) -> None:
    raw = await sdks.openai.chat.completions.with_raw_response.create(model=model, messages=HELLO)

    assert raw.headers["x-modelbus-attempts"] == "1"
    assert raw.headers["x-request-id"] == raw.request_id
    assert raw.parse().choices[0].message.content


async def test_the_models_are_listed_in_openais_shape(sdks: Sdks) -> None:
    listed = [model.id async for model in sdks.openai.models.list()]

    assert listed == [CLAUDE, "either", GPT, "text-embedding-3-small"]
    assert (await sdks.openai.models.retrieve(CLAUDE)).object == "model"


async def test_embeddings_are_passed_through(sdks: Sdks) -> None:
    answer = await sdks.openai.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=4)

    assert [len(item.embedding) for item in answer.data] == [4, 4]
    assert answer.usage.prompt_tokens == 2


async def test_completions_are_passed_through(sdks: Sdks, simulator: Simulator) -> None:
    choice = {"text": "Hi", "index": 0, "finish_reason": "stop", "logprobs": None}
    body = {"id": "c", "object": "text_completion", "created": 1, "model": GPT, "choices": [choice]}
    simulator.openai.misbehave(Fault(body=body))

    answer = await sdks.openai.completions.create(model=GPT, prompt="Say hi")

    assert answer.choices[0].text == "Hi"
    assert simulator.openai.exchanges[-1].path == "/openai/v1/completions"


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": GPT,
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 4,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 9,
    },
}


def events(*bodies: dict[str, Any]) -> str:
    return "".join(f"event: {body['type']}\ndata: {json.dumps(body)}\n\n" for body in bodies)


async def test_responses_are_passed_through(sdks: Sdks, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(body=RESPONSE))

    answer = await sdks.openai.responses.create(model=GPT, input="Say hi")

    assert answer.output_text == "Hi"
    assert simulator.openai.exchanges[-1].path == "/openai/v1/responses"


async def test_responses_are_streamed(sdks: Sdks, simulator: Simulator) -> None:
    begun = RESPONSE | {"status": "in_progress", "output": []}
    text = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    stream = events(
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hi", **text},
        {"type": "response.completed", "sequence_number": 2, "response": RESPONSE},
    )
    simulator.openai.misbehave(Fault(body=stream, content_type="text/event-stream"))

    told = [event async for event in await sdks.openai.responses.create(model=GPT, input="Say hi", stream=True)]

    assert [event.type for event in told] == ["response.created", "response.output_text.delta", "response.completed"]


async def test_a_response_that_is_cut_ends_in_an_error(sdks: Sdks, simulator: Simulator) -> None:
    text = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    stream = events({"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hi", **text})
    simulator.openai.misbehave(Fault(body=stream, content_type="text/event-stream"))

    with pytest.raises(openai.APIError, match="broke off"):
        _ = [event async for event in await sdks.openai.responses.create(model=GPT, input="Say hi", stream=True)]


async def test_the_simulated_supplier_answers_responses_and_completions(sdks: Sdks) -> None:
    response = await sdks.openai.responses.create(model=GPT, input="one two three")
    streamed = await sdks.openai.responses.create(model=GPT, input="one two three", stream=True)
    last = [event async for event in streamed][-1]
    stream = await sdks.openai.completions.create(
        model=GPT, prompt="one two", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert response.output_text == "Hello from gpt-4o at openai: 3 words heard"
    assert last.type == "response.completed"
    assert last.response.output_text == response.output_text
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices).endswith("2 words heard")
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10


async def test_images_and_moderations_are_passed_through(sdks: Sdks, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(body={"created": 1, "data": [{"b64_json": "aGk="}]}))
    image = await sdks.openai.images.generate(model=GPT, prompt="a cat")
    simulator.openai.misbehave(Fault(body={"id": "m", "model": GPT, "results": []}))
    moderation = await sdks.openai.moderations.create(model=GPT, input="hello")

    assert image.data is not None
    assert image.data[0].b64_json == "aGk="
    assert moderation.id == "m"
    assert [exchange.path for exchange in simulator.openai.exchanges] == [
        "/openai/v1/images/generations",
        "/openai/v1/moderations",
    ]


async def test_reranking_is_passed_through(sdks: Sdks, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(body={"results": [{"index": 0, "relevance_score": 0.5}]}))

    answer = await sdks.http.post("/v1/rerank", json={"model": GPT, "query": "q", "documents": ["d"]})

    assert answer.json()["results"][0]["relevance_score"] == 0.5


async def test_a_recording_is_passed_through_under_the_suppliers_name_of_the_model(
    simulator: Simulator, catalog: TwoProtocols, tmp_path: Path
) -> None:
    supplier = catalog.seed.supplier("other", simulator.base_url(simulator.openai))
    catalog.seed.credential(supplier, "sim-openai-key-1")
    catalog.seed.source(catalog.seed.model("hearer", model_type="audio"), supplier, "whisper-large")
    simulator.openai.misbehave(Fault(body={"text": "hello", "usage": {"type": "duration", "seconds": 3}}))
    sound = b"RIFF\r\n\r\n--not-the-end--\r\n" + bytes(range(256))

    async with running_sdks(tmp_path, catalog.seed) as sdks:
        heard = await sdks.openai.audio.transcriptions.create(
            model="hearer", file=("a.wav", io.BytesIO(sound), "audio/wav"), language="en"
        )

    [sent] = simulator.openai.exchanges
    assert heard.text == "hello"
    assert sound in sent.body
    assert b'name="model"\r\n\r\nwhisper-large\r\n' in sent.body
    assert sent.headers["content-type"].startswith("multipart/form-data; boundary=")


async def test_speech_is_passed_through_as_it_comes(sdks: Sdks, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(body="RIFF sound", content_type="audio/wav"))

    answer = await sdks.openai.audio.speech.create(model=GPT, voice="alloy", input="hello")

    assert answer.content == b"RIFF sound"
    assert answer.response.headers["content-type"] == "audio/wav"


async def test_what_anthropic_does_not_serve_is_refused_with_the_reason(sdks: Sdks) -> None:
    for asked in (
        sdks.openai.completions.create(model=CLAUDE, prompt="a"),
        sdks.openai.responses.create(model=CLAUDE, input="a"),
    ):
        with pytest.raises(openai.BadRequestError, match="no supplier of") as refused:
            await asked

        assert (refused.value.param, refused.value.code) == ("model", "unsupported_by_source")
