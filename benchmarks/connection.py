"""A keep-alive HTTP/1.1 connection by hand: a client library would take longer than what is measured through it."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and when its last byte was there."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body, of an answer that says that all went well.

        Raises:
            RuntimeError: it says otherwise.
        """
        if not 200 <= self.status < 300:
            raise RuntimeError(f"answered {self.status}: {self.body.decode(errors='replace')[:500]}")
        return json.loads(self.body)


class Connection:
    """One connection to one server, with one bearer token; asks one thing after another."""

    def __init__(self, url: str, token: str) -> None:
        self._address = urlsplit(url)
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        self._streams = await asyncio.open_connection(self._address.hostname, self._address.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._streams is not None:
            self._streams[1].close()

    def request(self, method: str, path: str, content: Any = None, **headers: str) -> bytes:
        """Write a request; made once, it can be asked many times."""
        body = b"" if content is None else json.dumps(content).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: {self._address.netloc}\r\nauthorization: Bearer {self._token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        )
        return head.encode() + body

    async def ask_stream(self, request: bytes) -> bytes:
        """Send the request and read its answer to the end, which must come in chunks."""
        assert self._streams is not None  # noqa: S101 - asked inside the block only
        reader, writer = self._streams
        writer.write(request)
        return await reader.readuntil(b"\r\n0\r\n\r\n")

    async def ask(self, request: bytes) -> Answer:
        """Send the request and read its answer, which must tell its length."""
        assert self._streams is not None  # noqa: S101 - asked inside the block only
        reader, writer = self._streams
        writer.write(request)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(first.split(" ", 2)[1]), headers, body)
