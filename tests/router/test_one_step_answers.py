"""Answers that go out in one step, and callers whose connection tells that they have left."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from modelbus.chassis.connections import CALLER, Connection
from router.routers import RunningRouter
from router.test_hostile_clients import a_request, one_answer, wire
from running import serving


class Echo:
    """An application that answers in one step, with the headers that it is given, and keeps what came of it."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b"whole") -> None:
        self._headers = [*headers, (b"content-length", b"%d" % len(body))]
        self._body = body
        self.outcomes: list[Any] = []

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        connection: Connection = scope["extensions"][CALLER]
        try:
            self.outcomes.append(connection.answer(200, self._headers, self._body))
        except ValueError as error:
            self.outcomes.append(str(error))
        if self.outcomes[-1] is not True:
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})


async def test_answers_of_one_step_follow_one_another_on_a_connection() -> None:
    app = Echo()
    async with serving(app) as url, wire(url) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3)
        answers = [await one_answer(reader) for _ in range(3)]

    assert [(head[:15], body) for head, body in answers] == [(b"HTTP/1.1 200 OK", b"whole")] * 3
    assert all(b"\r\ndate: " in head for head, _ in answers)
    assert app.outcomes == [True] * 3


async def test_a_connection_that_is_to_be_closed_is_answered_by_the_server() -> None:
    app = Echo()
    async with serving(app) as url, wire(url) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        head = await reader.read()

    assert app.outcomes == [False]
    assert head.startswith(b"HTTP/1.1 500 ")
    assert b"connection: close" in head


@pytest.mark.parametrize("forged", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
async def test_a_header_that_would_forge_others_is_not_sent(forged: bytes) -> None:
    app = Echo([(b"x-said", forged)])
    async with serving(app) as url, wire(url) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        head, _ = await one_answer(reader)

    assert app.outcomes == ["a header of the answer holds a line break"]
    assert head.startswith(b"HTTP/1.1 500 ")


async def test_pieces_that_are_passed_on_are_chunks_of_the_answer() -> None:
    async def app(scope: Scope, _: Receive, send: Send) -> None:
        connection: Connection = scope["extensions"][CALLER]
        passed.append(connection.pass_on(b"too early"))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        passed.extend(connection.pass_on(piece) for piece in (b"first ", b"", b"second "))
        await send({"type": "http.response.body", "body": b"last"})
        passed.append(connection.pass_on(b"too late"))

    passed: list[bool] = []
    async with serving(app) as url, httpx.AsyncClient() as client:
        answers = [await client.get(url) for _ in range(2)]

    assert [answer.text for answer in answers] == ["first second last"] * 2
    assert passed == [False, True, True, True, False] * 2


async def test_an_answer_in_pieces_begins_and_ends_with_one_each() -> None:
    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        connection: Connection = scope["extensions"][CALLER]
        outcomes.append(connection.finish(b"too early"))
        try:
            outcomes.append(connection.begin(201, [(b"x-said", said)], b"first "))
        except ValueError as error:
            outcomes.append(str(error))
            outcomes.append(connection.begin(201, [], b"first "))
        outcomes.append(connection.begin(201, [], b"twice "))
        outcomes.extend((connection.pass_on(b"second "), connection.finish(b"last"), connection.finish(b"too late")))

    outcomes: list[bool | str] = []
    async with serving(app) as url, wire(url) as (reader, writer):
        for said in (b"this", b"a\r\nset-cookie: b", b"that"):
            outcomes.clear()
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 2)
            answers = [await reader.readuntil(b"\r\n0\r\n\r\n") for _ in range(2)]

            first = ["a header of the answer holds a line break", True] if b"\n" in said else [True]
            assert outcomes == [False, *first, False, True, True, False] * 2
            for answer in answers:
                head, _, body = answer.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 201 Created\r\n")
                assert b"set-cookie" not in head
                assert body == b"6\r\nfirst \r\n7\r\nsecond \r\n4\r\nlast\r\n0\r\n\r\n"


async def test_nothing_is_passed_on_to_a_caller_that_is_behind() -> None:
    piece, most, behind = b"x" * 65_536, 1000, asyncio.Event()
    passed = 0

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        nonlocal passed
        connection: Connection = scope["extensions"][CALLER]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while passed < most and connection.pass_on(piece):
            passed += 1
        behind.set()
        await send({"type": "http.response.body", "body": b"last"})

    async with serving(app) as url, wire(url) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await behind.wait()
        told = await reader.read()

    assert 0 < passed < most
    assert told.count(b"\r\n" + piece + b"\r\n") == passed
    assert told.endswith(b"\r\n4\r\nlast\r\n0\r\n\r\n")


async def test_a_caller_that_asks_ahead_gets_its_answers_in_turn(router: RunningRouter) -> None:
    async with wire(router.url) as (reader, writer):
        writer.write(a_request() * 3)
        async with asyncio.timeout(10):
            answers = [await one_answer(reader) for _ in range(3)]

    assert [head[:12] for head, _ in answers] == [b"HTTP/1.1 200"] * 3
