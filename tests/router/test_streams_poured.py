"""Streams over real sockets while their events go on as they come: how they end, how large they are, what is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelbus.router.wire.chat_events import ChatEvents
from router.routers import KEY, PROMPT, RunningRouter, running_router
from router.seeding import Seed
from router.spools import spooled
from router.suppliers import Conduct, read_request, supplier
from running import eventually

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"
SECRET, WORDS = "sim-secret-key-1", "the prompt of somebody"


def event(content: Any) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}]})


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def saying(*pieces: bytes) -> Conduct:
    """Send that on every connection, and close it."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + b"".join(framed(piece) for piece in pieces) + LAST)
        await writer.drain()

    return conduct


@asynccontextmanager
async def router_at(
    conduct: Conduct, path: Path, *, protocol: str = "openai", **fields: Any
) -> AsyncIterator[RunningRouter]:
    seed = Seed()
    seed.key(KEY)
    async with supplier(conduct) as place:
        acme = seed.supplier("acme", place.base_url, protocol=protocol)
        seed.credential(acme, SECRET)
        seed.source(seed.model("gpt-4o"), acme)
        async with running_router(path, seed, **fields) as router:
            yield router


async def recorded(path: Path, count: int = 1) -> list[Any]:
    """Answer the last attempts of the requests that are on disk, once there are so many."""
    await eventually(lambda: len(spooled(path)) >= count)
    return [request["attempts"][-1] for request in spooled(path)]


class Wordy:
    """Sends three hundred tokens, all but the first when that was read, and ends as it is told."""

    tokens = 300

    def __init__(self, end: Callable[[asyncio.StreamWriter], None], *, is_held: bool) -> None:
        self.first_was_read, self.is_over = asyncio.Event(), asyncio.Event()
        self._end = end
        self._is_held = is_held

    async def conduct(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + framed(chunk("")) + framed(chunk("word")))
        await self.first_was_read.wait()
        for _ in range(self.tokens - 1):
            writer.write(framed(chunk("word")))
            await writer.drain()
        self._end(writer)
        if self._is_held:
            await self.is_over.wait()


@pytest.mark.parametrize(
    ("end", "is_held", "code", "error"),
    [
        (lambda _: None, True, "upstream_timeout", "stalled"),
        (lambda _: None, False, "upstream_failed", "connection lost: closed early"),
        (lambda writer: writer.write(LAST), False, "upstream_failed", "stream cut: it ended without a finish reason"),
        (
            lambda writer: writer.write(framed(b'data: {"choices":[{"del\n\n')),
            True,
            "upstream_failed",
            "sent a malformed event: Input data was truncated",
        ),
    ],
    ids=["stalls", "is cut", "ends early", "is malformed"],
)
async def test_a_stream_that_breaks_after_many_tokens_ends_in_an_error_event_and_is_accounted(
    tmp_path: Path, end: Callable[[asyncio.StreamWriter], None], *, is_held: bool, code: str, error: str
) -> None:
    wordy = Wordy(end, is_held=is_held)
    async with router_at(wordy.conduct, tmp_path, stall_s=1) as router:
        text = await all_of(router, wordy)
        [attempt] = await recorded(tmp_path)

    *said, last = [json.loads(each.removeprefix("data: ")) for each in text.split("\n\n")[:-1]]
    assert [each["choices"][0]["delta"]["content"] for each in said] == ["", *["word"] * wordy.tokens]
    assert last["error"]["code"] == code
    assert (attempt["outcome"], attempt["error"]) == ("cut", error)
    assert (attempt["tokens"]["output"], attempt["tokens"]["is_estimated"]) == (wordy.tokens, True)
    assert attempt["first_token_ms"] is not None


async def all_of(router: RunningRouter, wordy: Wordy) -> str:
    """Read the stream to its end, so that the supplier goes on once its beginning was read."""
    text = ""
    async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
        async for piece in answer.aiter_text():
            text += piece
            wordy.first_was_read.set()
    wordy.is_over.set()
    return text


async def test_an_error_of_ours_while_pieces_go_on_ends_in_an_error_event_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wordy, take = Wordy(lambda writer: writer.write(framed(chunk("boom"))), is_held=True), ChatEvents.take

    def broken(self: ChatEvents, piece: bytes) -> bytes:
        if b"boom" in piece:
            raise RuntimeError("nobody foresaw this")
        return take(self, piece)

    monkeypatch.setattr(ChatEvents, "take", broken)
    async with router_at(wordy.conduct, tmp_path) as router:
        text = await all_of(router, wordy)

    assert json.loads(text.split("\n\n")[-2].removeprefix("data: "))["error"]["code"] == "upstream_failed"
    assert "word" in text


async def test_a_caller_that_pauses_gets_every_byte_when_it_reads_again(tmp_path: Path) -> None:
    events = [chunk(f"{number} " + "x" * 65536) for number in range(512)]
    end = chunk("", "stop") + b"data: [DONE]\n\n"
    sent, steady = 0, -1

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(HEAD)
        for each in events:
            writer.write(framed(each))
            await writer.drain()
            sent += 1
        writer.write(framed(end) + LAST)

    def is_held_back() -> bool:
        nonlocal steady
        was, steady = steady, sent
        return sent == was > 0

    seen = sha256()
    async with router_at(conduct, tmp_path) as router:
        async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
            pieces = answer.aiter_raw()
            seen.update(await anext(pieces))
            for _ in range(10):
                await eventually(is_held_back)
            held_at = sent
            async for piece in pieces:
                seen.update(piece)
        [attempt] = await recorded(tmp_path)

    assert held_at < len(events)
    assert seen.digest() == sha256(b"".join(events) + end).digest()
    assert attempt["outcome"] == "ok"


def a_picture() -> tuple[bytes, ...]:
    picture = {"type": "image_generation.completed", "b64_json": "iVBO" * 786_432, "usage": {"input_tokens": 3}}
    partial = {"type": "image_generation.partial_image", "b64_json": "iVBO" * 1000}
    return event(partial), event(picture)


def a_response(asked: str) -> tuple[bytes, ...]:
    kept = {"id": "r", "instructions": asked}
    return (
        event({"type": "response.created", "response": kept}),
        event({"type": "response.in_progress", "response": kept}),
        event({"type": "response.output_text.delta", "delta": "hi"}),
        event({"type": "response.completed", "response": kept | {"usage": {"input_tokens": 3}}}),
    )


@pytest.mark.parametrize(
    ("path", "asked", "said"),
    [
        ("/v1/images/generations", {"prompt": "a cat"}, a_picture()),
        ("/v1/images/generations", {"prompt": "a cat"}, a_picture()[1:]),
        ("/v1/responses", {"input": "hi", "instructions": "x" * 300_000}, a_response("x" * 300_000)),
    ],
    ids=["partial and whole picture", "picture", "instructions"],
)
async def test_events_as_large_as_an_answer_may_be_and_what_repeats_the_request_go_on(
    tmp_path: Path, path: str, asked: dict[str, Any], said: tuple[bytes, ...]
) -> None:
    async with router_at(saying(*said), tmp_path) as router:
        answer = await router.http.post(path, json=asked | {"model": "gpt-4o", "stream": True})
        [attempt] = await recorded(tmp_path)

    assert (answer.status_code, answer.content) == (200, b"".join(said))
    assert (attempt["outcome"], attempt["tokens"]["input"]) == ("ok", 3)


@pytest.mark.parametrize(
    ("path", "said", "fields"),
    [
        ("/v1/images/generations", a_picture(), {"max_answer_bytes": 1024 * 1024}),
        ("/v1/responses", a_response("x" * 300_000), {}),
    ],
    ids=["an event beyond the limit", "much before the first token that nobody asked for"],
)
async def test_what_is_larger_is_a_failed_attempt(
    tmp_path: Path, path: str, said: tuple[bytes, ...], fields: dict[str, Any]
) -> None:
    async with router_at(saying(*said), tmp_path, **fields) as router:
        answer = await router.http.post(path, json={"model": "gpt-4o", "prompt": "a", "input": "a", "stream": True})
        [attempt] = await recorded(tmp_path)

    assert attempt["outcome"] in {"failed", "cut"}
    assert attempt["error"].startswith(("sent an endless event", "sent no token for too long"))
    assert answer.status_code == 502 or b"upstream_failed" in answer.content


async def test_a_picture_that_was_cut_is_not_estimated_by_its_bytes(tmp_path: Path) -> None:
    partial, _ = a_picture()
    async with router_at(saying(partial, partial), tmp_path) as router:
        await router.http.post("/v1/images/generations", json={"model": "gpt-4o", "prompt": "a cat", "stream": True})
        [attempt] = await recorded(tmp_path)

    assert attempt["outcome"] == "cut"
    assert (attempt["tokens"]["output"] or 0, attempt["tokens"]["is_estimated"]) == (0, True)


TOLD = {"message": f"no {SECRET} for '{WORDS}'", "code": SECRET, "type": "overloaded_error"}


@pytest.mark.parametrize(
    ("path", "protocol", "opening", "error"),
    [
        ("/v1/chat/completions", "openai", chunk("hi"), event({"error": TOLD})),
        (
            "/v1/messages",
            "anthropic",
            event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
            event({"type": "error", "error": TOLD}),
        ),
        (
            "/v1/responses",
            "openai",
            event({"type": "response.output_text.delta", "delta": "hi"}),
            event({"type": "error", "error": TOLD}),
        ),
    ],
    ids=["chat", "messages", "responses"],
)
async def test_of_an_error_within_a_stream_only_its_kind_is_told(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    path: str,
    protocol: str,
    opening: bytes,
    error: bytes,
) -> None:
    first_was_read = asyncio.Event()

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD)
        if not first_was_read.is_set():
            writer.write(framed(opening))
            await first_was_read.wait()
        writer.write(framed(error) + LAST)

    asked: dict[str, Any] = {"model": "gpt-4o", "stream": True, "max_tokens": 5, "input": WORDS}
    asked["messages"] = [{"role": "user", "content": WORDS}]
    async with router_at(conduct, tmp_path, protocol=protocol) as router:
        broken = ""
        async with router.http.stream("POST", path, json=asked) as answer:
            async for piece in answer.aiter_text():
                broken += piece
                first_was_read.set()
        failed = await router.http.post(path, json=asked)
        attempts = await recorded(tmp_path, 2)

    assert ([each["outcome"] for each in attempts], failed.status_code) == (["cut", "failed"], 502)
    assert {each["error"] for each in attempts} == {"gave up within the stream: overloaded_error"}
    told = [broken, failed.text, json.dumps(spooled(tmp_path)), "".join(capfd.readouterr())]
    assert not [each for each in told if SECRET in each or WORDS in each]


async def test_what_anthropic_told_of_its_input_is_kept_where_no_token_follows(tmp_path: Path) -> None:
    usage = {"input_tokens": 7, "cache_read_input_tokens": 3, "output_tokens": 1}
    started = event({"type": "message_start", "message": {"id": "m", "usage": usage}})
    held = asyncio.Event()

    async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + framed(started))
        if bodies.pop(0) == "hang":
            await held.wait()

    bodies = ["close", "hang"]
    asked = {"model": "gpt-4o", "max_tokens": 5, "messages": PROMPT["messages"], "stream": True}
    async with router_at(ends, tmp_path, protocol="anthropic", first_token_s=0.5) as router:
        answers = [await router.http.post("/v1/messages", json=asked) for _ in range(2)]
        attempts = await recorded(tmp_path, 2)
        held.set()

    assert [answer.status_code for answer in answers] == [502, 504]
    for attempt in attempts:
        tokens = attempt["tokens"]
        assert attempt["outcome"] == "failed"
        assert (tokens["input"], tokens["cached_input"], tokens["output"]) == (7, 3, 1)
