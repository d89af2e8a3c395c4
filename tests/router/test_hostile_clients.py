"""Callers, and suppliers, that mean harm or are broken: over raw sockets, as no client library would send it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from modelbus.chassis.connections import MOST_HEAD_BYTES, Connection, Patience
from modelbus.router.app import create_app
from modelbus.router.journey.journeys import Journeys
from modelbus.simulator import Fault, Simulator
from router.routers import KEY, PROMPT, RunningRouter, router_settings, running_router
from router.seeding import Seed
from router.suppliers import supplier
from router.world import World
from running import serving

BODY = json.dumps(PROMPT).encode()
AUTH = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
QUICK = Patience(head_s=0.2, unread_s=0.2)
SAID = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
COMPLETION = json.dumps({"id": "1", "object": "chat.completion", "choices": [SAID]})


def a_request(*headers: bytes, body: bytes = BODY, target: bytes = b"/v1/chat/completions") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"POST " + target + b" HTTP/1.1", b"Host: x", AUTH[:-2], length, *headers, b"", body])


type Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    yield reader, writer
    writer.close()


@asynccontextmanager
async def hurried_router(world: World, path: Path) -> AsyncIterator[str]:
    world.seed.save(path / "catalog.snapshot")
    async with serving(create_app(router_settings(path)), QUICK) as url:
        yield url


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read until the other side has closed, or has reset as it was still being told something."""
    told = b""
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            while some := await reader.read(65536):
                told += some
    return told


async def one_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head, await reader.readexactly(int(length.split(b":")[1]))


async def said(router: RunningRouter, sent: bytes) -> bytes:
    """Send it, and answer all that comes back until the router closes."""
    async with wire(router.url) as (reader, writer):
        writer.write(sent)
        return await rest(reader)


async def test_who_says_nothing_is_not_waited_for(world: World, tmp_path: Path) -> None:
    async with hurried_router(world, tmp_path) as url, wire(url) as (reader, _):
        assert await rest(reader) == b""


async def test_a_head_that_trickles_in_is_cut_however_steadily_it_does(world: World, tmp_path: Path) -> None:
    async with hurried_router(world, tmp_path) as url, wire(url) as (reader, writer):
        answer = asyncio.create_task(rest(reader))
        for byte in a_request():
            writer.write(bytes([byte]))
            await asyncio.wait([answer], timeout=0.07)
            if answer.done():
                break

        assert (await answer).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"POST /v1/chat/completions HTTP/1.1\r\nHo", b"\r\n"])
async def test_the_next_request_on_a_connection_must_come_as_quickly(world: World, tmp_path: Path, sent: bytes) -> None:
    async with hurried_router(world, tmp_path) as url, wire(url) as (reader, writer):
        writer.write(a_request())
        head, _ = await one_answer(reader)
        writer.write(sent)

        assert head.startswith(b"HTTP/1.1 200 ")
        assert (await rest(reader)).startswith(b"HTTP/1.1 408 " if len(sent) > 2 else b"")


async def test_what_is_in_time_is_served_again_and_again_on_one_connection(world: World, tmp_path: Path) -> None:
    async with hurried_router(world, tmp_path) as url, wire(url) as (reader, writer):
        heads = []
        for _ in range(3):
            writer.write(a_request())
            heads.append((await one_answer(reader))[0])
            # Longer than a head may take: an idle connection is no slow head.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2 * QUICK.head_s):
                    await reader.read(1)

    assert [head[:12] for head in heads] == [b"HTTP/1.1 200"] * 3


@pytest.mark.parametrize("header", [b"X-Long: " + b"x" * MOST_HEAD_BYTES, b"X: y\r\n" * MOST_HEAD_BYTES])
async def test_a_head_without_end_is_cut(router: RunningRouter, header: bytes) -> None:
    async with wire(router.url) as (reader, writer):
        # No more than is refused: a router that closes before it has read all resets the connection.
        writer.write((b"POST /v1/chat/completions HTTP/1.1\r\n" + header)[: MOST_HEAD_BYTES + 1])

        assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_trickles_in_is_cut(world: World, tmp_path: Path) -> None:
    async with running_router(tmp_path, world.seed, body_s=0.25) as router:
        answers = await asyncio.gather(*(trickle(router.url) for _ in range(5)), return_exceptions=True)

    # A byte of ours that crosses the answer makes the system forget it; hardly five times.
    heard = [answer for answer in answers if not isinstance(answer, ConnectionResetError)]
    assert heard
    for answer in heard:
        assert isinstance(answer, bytes)
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_who_shows_no_key_is_not_read_even_where_requests_are_explained(router: RunningRouter) -> None:
    asked = b"POST /api/v1/explain HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n"
    async with wire(router.url) as (reader, writer):
        writer.write(asked + b"{")
        async with asyncio.timeout(5):
            head, _ = await one_answer(reader)

    assert head.startswith(b"HTTP/1.1 401 ")


async def test_what_is_to_be_explained_must_come_in_time_and_within_bounds(world: World, tmp_path: Path) -> None:
    asked = b"POST /api/v1/explain HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n{"
    async with running_router(tmp_path, world.seed, body_s=0.25, max_prompt_bytes=2_000_000) as router:
        told = []
        for length in (100, 2_000_001):
            async with wire(router.url) as (reader, writer):
                writer.write(asked % (KEY.encode(), length))
                async with asyncio.timeout(5):
                    told.append((await one_answer(reader))[0][:13])

    assert told == [b"HTTP/1.1 408 ", b"HTTP/1.1 413 "]


async def trickle(url: str) -> bytes:
    """Send a body byte by byte, for ever so long, and answer what comes of it."""
    async with wire(url) as (reader, writer):
        answer = asyncio.create_task(rest(reader))
        writer.write(a_request().removesuffix(BODY))
        for byte in BODY:
            await asyncio.wait([answer], timeout=0.1)
            if answer.done():
                break
            writer.write(bytes([byte]))
        return await answer


@pytest.mark.parametrize("header", [b"Connection: close", b"Connection: keep-alive"])
async def test_an_answer_that_nobody_reads_is_not_kept(
    world: World, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, header: bytes
) -> None:
    lost, ended = asyncio.Event(), Connection.connection_lost

    def connection_lost(connection: Connection, error: Exception | None) -> None:
        ended(connection, error)
        lost.set()

    monkeypatch.setattr(Connection, "connection_lost", connection_lost)
    long = 16 * 1024 * 1024
    simulator.openai.misbehave(Fault(body=COMPLETION.replace("hi", "x" * long)))
    async with hurried_router(world, tmp_path) as url, wire(url) as (reader, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(a_request(header))
        async with asyncio.timeout(10):
            await lost.wait()
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(long)


@pytest.mark.parametrize(
    "sent",
    [
        a_request(b"Transfer-Encoding: chunked"),
        a_request(b"Content-Length: 3"),
        a_request().replace(b"Content-Length: ", b"Content-Length: +"),
        a_request().replace(b"Host: x", b"Host: x\nX-Bare: y\n\nPOST"),
        a_request(b"X-Zero: a\0b"),
        a_request(b" folded: yes"),
        a_request(b"Bad Name: x"),
        a_request(target=b"/v1/chat/completions\xff"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["two-lengths", "lengths-differ", "signed", "bare-feeds", "zero", "folded", "blank", "target", "tls", "http2"],
)
async def test_what_could_be_read_in_two_ways_is_refused_and_reaches_no_supplier(
    router: RunningRouter, simulator: Simulator, sent: bytes
) -> None:
    # A second request is hidden behind the first: whoever reads the first otherwise would find it.
    answer = await said(router, sent + a_request())

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert not simulator.openai.exchanges


@asynccontextmanager
async def listening_supplier(path: Path, answer: bytes) -> AsyncIterator[tuple[RunningRouter, list[bytes]]]:
    """Run a router whose only supplier answers this, and keep what it is sent."""
    heads: list[bytes] = []

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heads.append(head)
        [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write(answer)
        await writer.drain()

    async with supplier(conduct) as place:
        alone = Seed()
        alone.key(KEY)
        at = alone.supplier("solo", place.base_url)
        alone.credential(at, "suppliers-own-key")
        alone.source(alone.model("gpt-4o"), at)
        async with running_router(path, alone) as router:
            yield router, heads


def an_answer(*headers: bytes, status: bytes = b"200 OK") -> bytes:
    length = b"Content-Length: %d" % len(COMPLETION)
    head = b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Type: application/json", length, *headers])
    return head + b"\r\n\r\n" + COMPLETION.encode()


async def test_no_header_of_the_caller_but_those_of_its_protocol_reaches_a_supplier(
    tmp_path: Path,
) -> None:
    theirs = [
        b"X-Forwarded-Host: evil",
        b"X-Api-Base: http://evil/v1",
        b"OpenAI-Organization: theirs",
        b"Cookie: session=theirs",
        b"Proxy-Authorization: Basic dGhlaXJz",
        b"X-Api-Key: theirs",
        b"Accept-Encoding: br",
        b"Connection: close, X-Secret",
    ]
    async with listening_supplier(tmp_path, an_answer()) as (router, heads):
        answer = await said(router, a_request(*theirs, target=b"http://evil/v1/chat/completions?base_url=http://evil"))

    assert answer.startswith(b"HTTP/1.1 200 ")
    [head] = heads
    names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:-2]}
    assert names <= {b"host", b"content-type", b"content-length", b"authorization", b"accept-encoding", b"user-agent"}
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert b"Bearer suppliers-own-key" in head
    assert b"evil" not in head
    assert b"theirs" not in head


async def test_of_a_suppliers_headers_only_those_of_the_list_reach_the_caller(tmp_path: Path) -> None:
    theirs = [
        b"Set-Cookie: session=theirs",
        b"Server: theirs/1.0",
        b"Location: http://theirs/",
        b"X-Ratelimit-Remaining-Requests: 7",
        b"X-Modelbus-Source: theirs",
        b"X-Request-Id: theirs",
        b"Access-Control-Allow-Origin: *",
        b"Content-Type: text/html\x7f",
    ]
    async with listening_supplier(tmp_path, an_answer(*theirs)) as (router, _):
        answer = await said(router, a_request(b"Connection: close"))

    head, _, _ = answer.lower().partition(b"\r\n\r\n")
    names = {line.partition(b":")[0] for line in head.split(b"\r\n")[1:]}
    mine = {b"x-modelbus-source", b"x-modelbus-attempts", b"x-modelbus-revision", b"x-request-id"}
    # Only the server of the tests names itself.
    assert names <= mine | {b"date", b"server", b"content-type", b"content-length", b"connection"}
    assert b"theirs" not in head


@pytest.mark.parametrize("status", [b"302 Found", b"307 Temporary Redirect"])
async def test_a_supplier_can_not_send_the_router_elsewhere(tmp_path: Path, status: bytes) -> None:
    asked: list[str] = []

    async def elsewhere(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        asked.append("yes")

    async with supplier(elsewhere) as place:
        answer = an_answer(b"Location: " + place.base_url.encode(), status=status)
        async with listening_supplier(tmp_path, answer) as (router, heads):
            answered = await router.complete()

    assert answered.status_code == 502
    assert len(heads) == 1
    assert not asked


@pytest.mark.parametrize(
    "given", [b"a\tb", b"\xc3\xa4", b"x" * 129, b"", b"a\x85b"], ids=["tab", "no-ascii", "long", "empty", "next-line"]
)
async def test_an_id_of_the_caller_that_is_not_fit_for_a_header_is_not_repeated(
    router: RunningRouter, given: bytes
) -> None:
    answer = await said(router, a_request(b"X-Request-Id: " + given, b"Connection: close"))

    [told] = [line for line in answer.split(b"\r\n") if line.startswith(b"x-request-id:")]
    assert len(told) == len("x-request-id: ") + 36


async def test_what_is_repeated_in_an_error_can_not_leave_its_json(router: RunningRouter) -> None:
    name = 'x"}\u2028<script>\\'
    body = json.dumps(PROMPT | {"model": name}).encode()
    answer = await said(router, a_request(b"Connection: close", body=body))

    head, _, told = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 "))
    assert set(json.loads(told)) == {"error"}


async def test_no_secret_is_told_or_logged_whatever_goes_wrong(
    world: World,
    tmp_path: Path,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    secrets = (
        KEY,
        "sim-openai-key-1",
        "sim-openrouter-key-1",
        "mb-wrong-key",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
    )
    for provider in (simulator.openai, simulator.openrouter):
        provider.accept_keys()

    async def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    told = b""
    with capture_logs() as logs:
        async with running_router(tmp_path, world.seed) as router:
            for shown in (KEY, *secrets[3:]):
                replaced = a_request(b"Connection: close").replace(KEY.encode(), shown.encode())
                told += await said(router, replaced)
            monkeypatch.setattr(Journeys, "carry", broken)
            told += await said(router, a_request(b"Connection: close"))

    written = told.decode() + repr(logs) + "".join(capfd.readouterr())
    assert [told.count(status) for status in (b"1.1 502 ", b"1.1 401 ", b"1.1 500 ")] == [1, 2, 1]
    assert "a request failed" in written
    assert [secret for secret in secrets if secret in written] == []


async def test_the_hash_of_a_key_opens_nothing(router: RunningRouter) -> None:
    answer = await router.http.get(
        "/v1/models", headers={"Authorization": f"Bearer {sha256(KEY.encode()).hexdigest()}"}
    )

    assert answer.status_code == 401
