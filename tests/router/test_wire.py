"""Both clients on the wire: every way in which a body may end, and every way in which a supplier may misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import trustme

from modelbus.router.domain.errors import (
    AttemptFailedError,
    LostError,
    MalformedAnswerError,
    NoConnectionError,
    TimedOutError,
    UnreachableError,
)
from modelbus.router.upstream.client import Client, Deadlines, Target
from modelbus.router.upstream.connection import Connection
from modelbus.router.upstream.dialling import Dialler
from modelbus.router.upstream.http_client import HttpClient
from modelbus.router.upstream.places import Origin
from router.aiohttp_twin import AiohttpClient
from router.suppliers import Conduct, read_request, supplier
from running import eventually, free_port

DEADLINES = Deadlines(connect_s=1, first_byte_s=1, stall_s=0.5)
HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = HEAD + b"content-length: 10\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=[HttpClient, AiohttpClient], ids=["own", "aiohttp"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with request.param(DEADLINES, connections=20) as open_client:
        yield open_client


@pytest.fixture
async def own() -> AsyncIterator[HttpClient]:
    async with HttpClient(DEADLINES, connections=4) as open_client:
        yield open_client


def answering(*pieces: bytes, then: str = "close") -> Conduct:
    """Answer every request with these bytes, piece by piece; `then` close, stay or stall."""

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if then == "close":
                return
            if then == "stall":
                await reader.read()

    return conduct


async def ask(client: Client, url: str, *, within_s: float = 5, pours: int = 0) -> tuple[int, bytes]:
    """Ask and read; so many pieces are poured before the rest is read."""
    until = asyncio.get_running_loop().time() + within_s
    answer = await client.post(Target(url, {}, is_local=True), b"{}", until=until)
    poured: list[bytes] = []

    def take(piece: bytes) -> bool:
        poured.append(piece)
        return len(poured) < pours

    if pours:
        await answer.pour(take)
        assert len(poured) <= pours
    return answer.status, b"".join(poured) + await answer.read(1_000_000)


ALL = 1_000_000
"""Of pieces that are poured: more than there are."""


@pytest.mark.parametrize(
    "pieces",
    [
        (LENGTH + b"0123456789",),
        (LENGTH, b"01234", b"56789"),
        (CHUNKED, b"a\r\n0123456789\r\n0\r\n\r\n"),
        (CHUNKED + b"5\r\n01234\r\n", b"5\r\n56789\r\n", b"0\r\n\r\n"),
        (CHUNKED + b"a;x=y\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n",),
        (HEAD + b"\r\n", b"01234", b"56789"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH + b"0123456789",),
        (b"HTTP/1.0 200 OK\r\n\r\n0123456789",),
    ],
    ids=["length", "pieces", "chunked", "chunks", "trailer", "close", "interim", "1.0"],
)
@pytest.mark.parametrize("pours", [0, 1, ALL], ids=["read", "poured and read", "poured"])
async def test_a_body_is_read_to_its_end_however_that_is_marked(
    client: Client, pieces: tuple[bytes, ...], pours: int
) -> None:
    async with supplier(answering(*pieces)) as place:
        assert await ask(client, place.base_url, pours=pours) == (200, b"0123456789")


@pytest.mark.parametrize(
    ("pieces", "then", "failure"),
    [
        ((), "close", LostError),
        ((LENGTH + b"01234",), "close", LostError),
        ((CHUNKED + b"5\r\n01234\r\n",), "close", LostError),
        ((b"HTTP/1.1 200 OK\r\ncontent-",), "close", LostError),
        ((), "stall", TimedOutError),
        ((LENGTH + b"01234",), "stall", TimedOutError),
        ((b"SSH-2.0-OpenSSH\r\n",), "close", MalformedAnswerError),
        ((CHUNKED + b"nonsense\r\n",), "close", MalformedAnswerError),
    ],
    ids=["nothing", "cut", "cut chunk", "cut head", "silent", "stalled", "no HTTP", "no chunk"],
)
@pytest.mark.parametrize("pours", [0, 1, ALL], ids=["read", "poured and read", "poured"])
async def test_what_goes_wrong_on_the_wire_is_named(
    client: Client, pieces: tuple[bytes, ...], then: str, failure: type[AttemptFailedError], pours: int
) -> None:
    async with supplier(answering(*pieces, then=then)) as place:
        # The twin tells some of them otherwise.
        expected = (failure, LostError, MalformedAnswerError) if isinstance(client, AiohttpClient) else failure
        with pytest.raises(expected):
            await ask(client, place.base_url, pours=pours)


@pytest.mark.parametrize("pours", [0, ALL], ids=["read", "poured"])
async def test_an_answer_that_drips_for_ever_ends_with_the_whole_time(client: Client, pours: int) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(CHUNKED)
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with supplier(drip) as place:
        with pytest.raises(TimedOutError, match="in all"):
            await ask(client, place.base_url, within_s=2, pours=pours)


async def test_a_head_without_end_is_refused(own: HttpClient) -> None:
    endless = HEAD + b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(100))
    async with supplier(answering(endless, then="stall")) as place:
        with pytest.raises(MalformedAnswerError, match="head"):
            await ask(own, place.base_url)


async def test_a_connection_is_used_again_only_when_nothing_is_left_on_it(own: HttpClient) -> None:
    connected = 0
    answers = [
        LENGTH + b"0123456789",
        HEAD + b"connection: close\r\ncontent-length: 0\r\n\r\n",
        HEAD + b"content-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nforge",
        LENGTH + b"0123456789",
    ]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        while answers:
            await read_request(reader)
            writer.write(answers.pop(0))

    async with supplier(serve) as place:
        assert await ask(own, place.base_url) == (200, b"0123456789")  # kept
        await ask(own, place.base_url)  # used again, then closed by the supplier's word
        assert await ask(own, place.base_url) == (200, b"")  # and another, which nobody asked for
        assert await ask(own, place.base_url) == (200, b"0123456789")

    assert connected == 3


async def test_bytes_that_come_while_nobody_asks_are_nobodys_answer(own: HttpClient) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(LENGTH + b"0123456789")
        await writer.drain()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nforge")
        await reader.read()

    async with supplier(serve) as place:
        await ask(own, place.base_url)
        await eventually(lambda: own.connections == 0)
        assert await ask(own, place.base_url) == (200, b"0123456789")


async def test_a_caller_that_leaves_closes_the_suppliers_connection_at_once(client: Client) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()
        left.set()

    async with supplier(serve) as place:
        task = asyncio.create_task(ask(client, place.base_url))
        await asked.wait()
        task.cancel()
        async with asyncio.timeout(1):
            await left.wait()


async def test_a_caller_who_reads_slowly_holds_the_supplier_back_and_is_not_called_late(own: HttpClient) -> None:
    sent, size = 0, 64 * 1024 * 1024

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    async with supplier(serve) as place:
        until = asyncio.get_running_loop().time() + 20
        answer = await own.post(Target(place.base_url, {}, is_local=True), b"{}", until=until)
        await eventually(lambda: sent > 1_000_000)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(DEADLINES.stall_s * 1.2)
        assert sent < size / 2
        read = 0
        async for piece in answer.iter():
            read += len(piece)

    assert read == size


async def test_who_finds_no_connection_waits_in_line_and_no_longer_than_for_a_connection() -> None:
    serving, release = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal serving
        while True:
            await read_request(reader)
            serving += 1
            await release.wait()
            writer.write(LENGTH + b"0123456789")

    patient = Deadlines(connect_s=0.3, first_byte_s=5, stall_s=5)
    async with supplier(serve) as place, HttpClient(patient, connections=4) as own:
        first = [asyncio.create_task(ask(own, place.base_url)) for _ in range(4)]
        await eventually(lambda: serving == 4)
        late = asyncio.create_task(ask(own, place.base_url))
        with pytest.raises(TimedOutError, match="no connection"):
            await late
        first[0].cancel()
        [waiting] = [asyncio.create_task(ask(own, place.base_url))]
        await eventually(lambda: serving == 5)
        release.set()
        answers = await asyncio.gather(*first[1:], waiting)

    assert answers == [(200, b"0123456789")] * 4
    assert own.connections <= 4


async def test_a_full_house_lets_go_who_is_idle_elsewhere(own: HttpClient) -> None:
    async with (
        supplier(answering(LENGTH + b"0123456789", then="stay")) as one,
        supplier(answering(LENGTH + b"0123456789", then="stay")) as other,
    ):
        await asyncio.gather(*(ask(own, one.base_url) for _ in range(4)))
        await asyncio.gather(*(ask(own, other.base_url) for _ in range(4)))

        assert own.connections <= 4


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


async def _secured(authority: trustme.CA, name: str) -> tuple[asyncio.Server, int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    serve = answering(LENGTH + b"0123456789", then="stay")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


async def test_a_certificate_counts_if_its_authority_and_its_name_do(authority: trustme.CA) -> None:
    trusting, strict = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)
    good, good_port = await _secured(authority, "localhost")
    other, other_port = await _secured(authority, "elsewhere.example")

    async with good, other:
        async with HttpClient(DEADLINES, connections=4, tls=trusting) as client:
            assert await ask(client, f"https://localhost:{good_port}/v1") == (200, b"0123456789")
            with pytest.raises(UnreachableError, match="TLS"):
                await ask(client, f"https://localhost:{other_port}/v1")
        async with HttpClient(DEADLINES, connections=4, tls=strict) as client:
            with pytest.raises(UnreachableError, match="TLS"):
                await ask(client, f"https://localhost:{good_port}/v1")


async def test_a_proxy_leads_to_suppliers_but_those_that_are_called_directly(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    server, port = await _secured(authority, "localhost")

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.partition(b"\r\n")[0])
        if not head.startswith(b"CONNECT"):
            writer.write(LENGTH + b"0123456789")
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while piece := await source.read(65536):
                sink.write(piece)

        await asyncio.wait(
            [asyncio.create_task(carry(reader, back)), asyncio.create_task(carry(there, writer))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        back.close()

    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with server, supplier(proxy) as place, supplier(answering(LENGTH + b"9876543210")) as direct:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{place.port}")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{place.port}")
        monkeypatch.setenv("no_proxy", f"127.0.0.1:{direct.port},.internal.example")
        async with HttpClient(DEADLINES, connections=4, tls=context) as client:
            through = await ask(client, f"https://localhost:{port}/v1")
            plain = await ask(client, "http://provider.example/v1?x=1")
            past = await ask(client, direct.base_url)

    assert (through, plain, past) == ((200, b"0123456789"), (200, b"0123456789"), (200, b"9876543210"))
    assert asked == [f"CONNECT localhost:{port} HTTP/1.1".encode(), b"POST http://provider.example/v1?x=1 HTTP/1.1"]


async def test_a_proxy_that_refuses_is_a_failed_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    async with supplier(refuse) as place:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{place.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with HttpClient(DEADLINES, connections=4) as client:
            with pytest.raises(LostError, match="407"):
                await ask(client, "https://provider.example/v1")


async def test_a_proxy_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    is_left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            await reader.read()
        is_left.set()

    async with supplier(say_nothing) as place:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{place.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with HttpClient(DEADLINES, connections=4) as client:
            with pytest.raises(NoConnectionError):
                await ask(client, "https://provider.example/v1")
            async with asyncio.timeout(2):
                await is_left.wait()


async def test_of_two_addresses_that_answer_at_once_one_connection_is_kept(
    own: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, made, both = Dialler._connect, list[Connection](), asyncio.Event()

    async def resolve(_self: Dialler, _origin: Origin) -> list[str]:
        return ["127.0.0.1", "127.0.0.1"]

    async def connect_both(self: Dialler, address: str, origin: Origin, tls: ssl.SSLContext | None) -> Connection:
        made.append(await connect(self, address, origin, tls))
        if len(made) == 2:
            both.set()
        await both.wait()
        return made.pop()

    monkeypatch.setattr(Dialler, "_addresses", resolve)
    monkeypatch.setattr(Dialler, "_connect", connect_both)
    left = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await answering(LENGTH + b"0123456789", then="stay")(reader, writer)
        left += 1

    async with supplier(serve) as place:
        assert await ask(own, f"http://two-addresses.example:{place.port}/v1") == (200, b"0123456789")
        await eventually(lambda: left == 1)


async def test_an_address_that_does_not_answer_is_passed_over(own: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name has an address where nobody listens before the one where the supplier is."""

    async def resolve(_self: Dialler, _origin: Origin) -> list[str]:
        return ["::1", "127.0.0.1"]

    monkeypatch.setattr(Dialler, "_addresses", resolve)
    async with supplier(answering(LENGTH + b"0123456789")) as place:
        assert await ask(own, f"http://two-addresses.example:{place.port}/v1") == (200, b"0123456789")
        with pytest.raises(UnreachableError):
            await ask(own, f"http://two-addresses.example:{free_port()}/v1")


@pytest.mark.parametrize("header", ["x\r\ny: 1", "x\ny", "x\0y"])
async def test_a_header_that_would_forge_another_is_not_sent(own: HttpClient, header: str) -> None:
    async with supplier(answering(LENGTH + b"0123456789")) as place:
        until = asyncio.get_running_loop().time() + 1
        with pytest.raises(MalformedAnswerError, match="header"):
            await own.post(Target(place.base_url, {"authorization": header}, is_local=True), b"{}", until=until)
