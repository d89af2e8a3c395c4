"""Reading an answer within its limits."""

import tracemalloc
import zlib

import httpx
import pytest

from modelbus.sync.clients.endpoint import Endpoint, Limits
from modelbus.sync.domain.errors import RateLimitedError, UnusableAnswerError
from sync.catalog_stand_in import a_supplier

MIB = 1024 * 1024
LIMITS = Limits(max_bytes=MIB, connect_s=1, read_s=1, deadline_s=1, tries=1, first_pause_s=0.01)


async def ask(body: bytes = b"[]", status: int = 200, **headers: str) -> object:
    def answer(_request: httpx.Request) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Response(status, headers=named, stream=httpx.ByteStream(body))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        return await Endpoint(client, a_supplier(), None, LIMITS).get_json("/models", headers={})


def gzipped(body: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return squeeze.compress(body) + squeeze.flush()


async def test_a_gzip_bomb_is_never_inflated_beyond_the_limit() -> None:
    bomb = gzipped(b" " * 64 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(UnusableAnswerError, match="larger than"):
            await ask(bomb, content_encoding="gzip")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * MIB


async def test_gzip_is_read() -> None:
    assert await ask(gzipped(b'{"data": [1]}'), content_encoding="gzip") == {"data": [1]}


@pytest.mark.parametrize(
    ("body", "encoding", "reason"),
    [
        (b"[]", "br", "encoded as br"),
        (b"[]", "gzip", "not valid gzip"),
        (gzipped(b"[1, 2, 3]")[:-9], "gzip", "ends before its end"),
    ],
)
async def test_an_encoding_that_can_not_be_read_is_refused(body: bytes, encoding: str, reason: str) -> None:
    with pytest.raises(UnusableAnswerError, match=reason):
        await ask(body, content_encoding=encoding)


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert await ask(b"[" + b" " * (MIB - 2) + b"]") == []
    with pytest.raises(UnusableAnswerError):
        await ask(b"[" + b" " * (MIB - 1) + b"]")


BEYOND = "Mon, 01 Jan 2024 00:00:00 +9999999999999999"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("٣", None),
        (BEYOND, None),
    ],
)
async def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers=[(b"retry-after", header.encode())])

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(RateLimitedError) as limited:
            await Endpoint(client, a_supplier(), None, LIMITS).get_json("/models", headers={})

    assert limited.value.retry_after_s == seconds


async def test_the_parameters_of_a_page_come_beside_those_of_the_listing_s_url() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, stream=httpx.ByteStream(b"[]"))

    supplier = a_supplier(listing_url="https://files.example.com/models?team=a")
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        endpoint = Endpoint(client, supplier, "secret", LIMITS)
        await endpoint.get_json("/models", headers={}, params={"limit": "2"})
        await endpoint.get_json("/models", headers=endpoint.bearer())

    assert asked == ["https://files.example.com/models?team=a&limit=2", "https://files.example.com/models?team=a"]
    assert endpoint.bearer() == {}
