"""Each fault of the table, seen from outside; streams have a file of their own."""

import asyncio
import errno
import json
import time
import zlib

import aiohttp
import pytest

from modelbus.simulator import Fault, Rule, Simulator
from simulator.asking import Asking, Request, client_is_missed

BRIEFLY = 0.05


async def status_of(request: Request) -> int:
    async with request as answer:
        await answer.read()
        return answer.status


async def seconds_for(request: Request) -> float:
    started = time.monotonic()
    assert await status_of(request) == 200
    return time.monotonic() - started


@pytest.mark.parametrize(
    "fault",
    [
        Fault(latency_ms=60),
        Fault(first_token_ms=60),
        Fault(tokens_per_second=100),
        Fault(tokens_per_second=500, reply_tokens=31),
        Fault(stall_after_tokens=2, stall_seconds=0.06),
        Fault(slow_body_bytes_per_second=5000),
    ],
    ids=lambda fault: "+".join(fault.to_json()),
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_late_answer_is_late(ask: Asking, simulator: Simulator, fault: Fault, *, stream: bool) -> None:
    simulator.openai.misbehave(fault)

    assert await seconds_for(ask.openai(stream=stream)) >= BRIEFLY


async def test_latency_holds_a_listing_up_and_tokens_do_not(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.behave(
        Rule(fault=Fault(first_token_ms=60_000, tokens_per_second=1), times=1), Rule(fault=Fault(latency_ms=60))
    )

    assert await seconds_for(ask.models()) < 20
    assert await seconds_for(ask.models()) >= BRIEFLY


@pytest.mark.parametrize("length", [1, 3, 20])
async def test_a_reply_is_as_long_as_wished(ask: Asking, simulator: Simulator, length: int) -> None:
    simulator.openai.misbehave(Fault(reply_tokens=length))

    async with ask.openai() as answer:
        content = await answer.json()

    assert content["usage"]["completion_tokens"] == length
    assert len(content["choices"][0]["message"]["content"].split()) == length


async def test_a_reset_is_a_reset(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(reset_before_headers=True))

    with pytest.raises(aiohttp.ClientOSError) as lost:
        await status_of(ask.openai())

    assert lost.value.errno == errno.ECONNRESET
    assert simulator.openai.exchanges[-1].status is None
    assert not simulator.openai.exchanges[-1].client_disconnected


async def test_a_hang_lasts_until_the_client_goes(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True))

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(status_of(ask.openai()), BRIEFLY)

    assert await client_is_missed(simulator.openai)
    assert simulator.openai.exchanges[-1].status is None


async def test_a_hang_ends_by_itself(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True, hang_seconds=0.01))

    with pytest.raises(aiohttp.ServerDisconnectedError):
        await asyncio.wait_for(status_of(ask.openai()), 0.5)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hang_after_headers_shows_the_status_first(ask: Asking, simulator: Simulator, *, stream: bool) -> None:
    simulator.openai.misbehave(Fault(hang_after_headers=True))

    async with ask.openai(stream=stream) as answer:
        assert answer.status == 200
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer.content.readany(), BRIEFLY)

    assert await client_is_missed(simulator.openai)
    assert simulator.openai.exchanges[-1].status == 200


@pytest.mark.parametrize("status", [401, 402, 404, 429, 500, 503, 529])
async def test_a_status_has_a_body_in_each_providers_shape(ask: Asking, simulator: Simulator, status: int) -> None:
    for one in (simulator.openai, simulator.openrouter, simulator.anthropic):
        one.misbehave(Fault(status=status, headers={"Retry-After": "7"}))

    async with ask.openai() as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (status, "7")
        assert set((await answer.json())["error"]) == {"message", "type", "param", "code"}
    async with ask.openrouter() as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (status, status)
    async with ask.anthropic() as answer:
        assert (answer.status, (await answer.json())["type"]) == (status, "error")


@pytest.mark.parametrize("status", [204, 304])
async def test_a_status_without_a_body_leaves_the_connection_in_order(
    ask: Asking, simulator: Simulator, status: int
) -> None:
    simulator.openai.misbehave(Fault(status=status), times=1)

    assert await status_of(ask.openai()) == status
    assert await status_of(ask.openai()) == 200


@pytest.mark.parametrize(("body", "text"), [("overloaded", "overloaded"), ({"a": [1]}, '{"a": [1]}')])
async def test_a_given_body_is_sent_as_it_is(ask: Asking, simulator: Simulator, body: object, text: str) -> None:
    simulator.openai.misbehave(Fault(status=503, body=body))

    async with ask.openai() as answer:
        assert (answer.status, await answer.text()) == (503, text)


async def test_a_too_long_context_is_refused_in_each_shape(ask: Asking, simulator: Simulator) -> None:
    for one in (simulator.openai, simulator.openrouter, simulator.anthropic):
        one.misbehave(Fault(context_length_exceeded=True))

    async with ask.openai() as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "context_length_exceeded")
    async with ask.openrouter() as answer:
        assert (answer.status, "context length" in await answer.text()) == (400, True)
    async with ask.anthropic() as answer:
        assert (answer.status, "prompt is too long" in await answer.text()) == (400, True)


async def test_a_content_filter_refuses_in_each_shape(ask: Asking, simulator: Simulator) -> None:
    for one in (simulator.openai, simulator.openrouter, simulator.anthropic):
        one.misbehave(Fault(content_filter=True))

    async with ask.openai() as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "content_filter")
    async with ask.openrouter() as answer:
        raw = (await answer.json())["error"]["metadata"]["raw"]
        assert (answer.status, json.loads(raw)["error"]["code"]) == (400, "content_filter")
    async with ask.anthropic() as answer:
        assert (answer.status, "content filtering" in await answer.text()) == (400, True)


async def test_prefill_is_refused_where_there_is_one(ask: Asking, simulator: Simulator) -> None:
    simulator.anthropic.misbehave(Fault(refuse_prefill=True))
    prefilled = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "I"}]

    assert await status_of(ask.anthropic()) == 200
    async with ask.anthropic(messages=prefilled) as answer:
        assert (answer.status, "prefill" in await answer.text()) == (400, True)


async def test_html_comes_in_the_place_of_json(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.behave(Rule(fault=Fault(html=True), times=1), Rule(fault=Fault(html=True, status=502)))

    async with ask.openai() as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert (await answer.text()).startswith("<!doctype html>")
    assert await status_of(ask.openai()) == 502


async def test_a_redirect_points_elsewhere(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(redirect_to="http://169.254.169.254/"))

    async with ask.openai() as answer:
        assert (answer.status, answer.headers["Location"]) == (307, "http://169.254.169.254/")


@pytest.mark.parametrize("prefix", ["/openai/v1", "/openrouter/api/v1", "/anthropic/v1"])
async def test_an_empty_listing_is_a_listing(ask: Asking, simulator: Simulator, prefix: str) -> None:
    getattr(simulator, prefix.split("/")[1]).misbehave(Fault(empty_listing=True))

    async with ask.models(prefix) as answer:
        assert (answer.status, (await answer.json())["data"]) == (200, [])


async def test_an_empty_listing_still_serves_its_models(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(empty_listing=True))

    assert await status_of(ask.openai()) == 200


@pytest.mark.parametrize("fault", [Fault(truncated_json=True), Fault(invalid_json=True)])
async def test_a_damaged_body_arrives_whole_and_is_no_json(ask: Asking, simulator: Simulator, fault: Fault) -> None:
    simulator.openrouter.misbehave(fault)

    async with ask.models("/openrouter/api/v1") as answer:
        body = await answer.read()

    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(body)


async def test_a_body_can_be_called_something_else(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(content_type="text/plain"))

    async with ask.openai() as answer:
        assert answer.content_type == "text/plain"
        assert "choices" in json.loads(await answer.text())


async def test_headers_are_added_to_a_right_answer(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(headers={"x-ratelimit-remaining-requests": "0"}))

    async with ask.openai() as answer:
        assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (200, "0")


@pytest.mark.parametrize("tokens", [0, 4, 100])
async def test_a_cut_loses_the_rest_of_a_body(ask: Asking, simulator: Simulator, tokens: int) -> None:
    simulator.openai.misbehave(Fault(cut_after_tokens=tokens))

    async with ask.openai() as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()

    assert not simulator.openai.exchanges[-1].client_disconnected


async def test_a_listing_is_cut_halfway(ask: Asking, simulator: Simulator) -> None:
    simulator.openrouter.misbehave(Fault(cut_after_tokens=1))

    async with ask.models("/openrouter/api/v1") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_huge_body_has_the_size_it_was_wished(ask: Asking, simulator: Simulator, *, stream: bool) -> None:
    simulator.openai.misbehave(Fault(huge_body_bytes=1_000_000))

    async with ask.openai(stream=stream) as answer:
        body = await answer.read()

    assert len(body) == 1_000_000
    assert json.loads(body.removeprefix(b"data: "))["padding"].isspace()


async def test_a_huge_body_ends_when_the_client_goes(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(huge_body_bytes=4 * 1024**3))

    async with ask.openai() as answer:
        assert await answer.content.readany()
        answer.close()

    assert await client_is_missed(simulator.openai)


async def test_a_gzip_bomb_is_small_until_it_is_opened(simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(gzip_bomb_bytes=5_000_000))

    async with (
        aiohttp.ClientSession(simulator.url, auto_decompress=False) as http,
        http.get("/openai/v1/models") as answer,
    ):
        body = await answer.read()

    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(body) < 10_000
    assert len(zlib.decompress(body, 31)) == 5_000_000


async def test_the_first_rule_that_matches_is_applied(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.behave(
        Rule(fault=Fault(status=429), path="chat", model="gpt-4o", key="sim-openai-key-2"),
        Rule(fault=Fault(status=500), path="chat", model="gpt-4o"),
        Rule(fault=Fault(status=503), model="gpt-4o-mini"),
        Rule(fault=Fault(), path="models"),
        Rule(fault=Fault(status=402)),
    )

    assert await status_of(ask.openai()) == 500
    assert await status_of(ask.openai(model="gpt-4o-mini")) == 503
    assert await status_of(ask.models()) == 200
    assert await status_of(ask.openai(model="o1-mini")) == 402


async def test_a_rule_for_a_key_spares_the_others(http: aiohttp.ClientSession, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(status=429), key="sim-openai-key-1")

    def models(key: str) -> Request:
        return http.get("/openai/v1/models", headers={"Authorization": f"Bearer {key}"})

    assert await status_of(models("sim-openai-key-1")) == 429
    assert await status_of(models("sim-openai-key-2")) == 200


async def test_a_rule_expires_after_its_times(ask: Asking, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(status=500), times=2)

    assert [await status_of(ask.openai()) for _ in range(3)] == [500, 500, 200]
