"""The callers' door: an ASGI application without a framework under /v1."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from uuid import UUID

from starlette.types import Receive, Scope, Send

from modelbus.chassis import last_resort
from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import logger
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.domain.errors import CallerGoneError, Refusal, UnknownPathError, WrongMethodError
from modelbus.router.ingress.access import admit
from modelbus.router.ingress.body import BodyLimits, read_body
from modelbus.router.ingress.models import ModelList, show
from modelbus.router.ingress.refusals import internal_error, refuse
from modelbus.router.ingress.watch import CallerWatch
from modelbus.router.journey.ask import Ask, read_ask, read_form_ask
from modelbus.router.journey.journeys import Journeys
from modelbus.router.journey.reply import Reply
from modelbus.router.journey.trip import CUT, FAILED, Trip
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.wire.endpoints import ENDPOINTS, Endpoint
from modelbus.router.wire.envelopes import ANTHROPIC, OPENAI
from modelbus.router.wire.versions import versions_of

PREFIX = "/v1/"
_MODELS = "/v1/models"
_LONGEST_REQUEST_ID = 128
# What nginx writes in its log for a caller that left; nobody is told it.
_CALLER_LEFT = 499
_LAST_PIECE_S = 1.0

log = logger(__name__)

type Handler = Callable[["Visit"], Awaitable[None]]


@dataclass(slots=True)
class Visit:
    """One HTTP request and the means to answer it."""

    path: str
    headers: Mapping[bytes, bytes]
    receive: Receive
    send: Send
    id: UUID
    protocol: str
    """What the caller speaks."""
    trip: Trip | None = None
    status: int = _CALLER_LEFT
    """Of the answer, once it has begun."""


class Door:
    """Hears /v1: who calls, what is asked, and what is answered."""

    def __init__(self, catalog: CatalogCopy, journeys: Journeys, ledger: Ledger, limits: BodyLimits) -> None:
        self._catalog = catalog
        self._journeys = journeys
        self._ledger = ledger
        self._limits = limits
        self._list = ModelList()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        headers = dict(scope["headers"])
        visit = Visit(scope["path"], headers, receive, send, new_id(), _protocol(scope["path"], headers))
        try:
            await last_resort.attempt(self._hear(scope, visit), partial(self._own_up, visit))
        finally:
            if visit.trip:
                self._ledger.record(visit.trip.entry(visit.status))

    async def _hear(self, scope: Scope, visit: Visit) -> None:
        try:
            await self._handler(scope["method"], scope["path"])(visit)
        except Refusal as refusal:
            await self._answer(visit, refuse(refusal, visit.protocol))
        except CallerGoneError:
            pass  # There is nobody to answer.

    async def _own_up(self, visit: Visit, error: Exception) -> None:
        """Answer an error of ours without its details; where an answer has begun, the server cuts it."""
        log.error("a request failed", request_id=_request_id(visit).decode(), path=visit.path, exc_info=error)
        has_begun = visit.status != _CALLER_LEFT
        if visit.trip:
            visit.trip.give_up(CUT if has_begun else FAILED, "internal error")
        if not has_begun:
            await self._answer(visit, internal_error(visit.protocol))

    def _handler(self, method: str, path: str) -> Handler:
        wanted, handler = self._route(path)
        if method != wanted:
            raise WrongMethodError(f"{path} takes {wanted} only")
        return handler

    def _route(self, path: str) -> tuple[str, Handler]:
        if (endpoint := ENDPOINTS.get(path)) is not None:
            return "POST", partial(self._serve, endpoint)
        if path == _MODELS:
            return "GET", self._list_models
        if path.startswith(_MODELS + "/"):
            return "GET", self._show_model
        raise UnknownPathError(f"there is no {path}")

    async def _serve(self, endpoint: Endpoint, visit: Visit) -> None:
        begun, started_at = monotonic(), datetime.now(UTC)
        table = self._catalog.table
        caller = admit(table, visit.headers)
        ask = _ask(endpoint, visit.headers, await read_body(visit.receive, visit.headers, self._limits))
        visit.trip = trip = Trip(ask, caller, table, visit.id, started_at, begun)
        async with CallerWatch(visit.receive):
            await self._carry(visit, trip)

    async def _carry(self, visit: Visit, trip: Trip) -> None:
        try:
            reply = await self._journeys.carry(trip)
        except Refusal as refusal:
            reply = refuse(refusal, visit.protocol)
            reply.headers.append((b"x-modelbus-attempts", b"%d" % len(trip.attempts)))
        await self._answer(visit, reply)

    async def _list_models(self, visit: Visit) -> None:
        table = self._catalog.table
        await self._answer(visit, self._list.of(table, admit(table, visit.headers), visit.protocol))

    async def _show_model(self, visit: Visit) -> None:
        table = self._catalog.table
        name = visit.path.removeprefix(_MODELS + "/")
        await self._answer(visit, show(table, admit(table, visit.headers), name, visit.protocol))

    async def _answer(self, visit: Visit, reply: Reply) -> None:
        """Send the reply; pieces go as they come, and no faster than the caller reads them."""
        send, body = visit.send, reply.body
        reply.headers.append((b"x-request-id", _request_id(visit)))
        if visit.protocol == ANTHROPIC:
            reply.headers.append((b"request-id", _request_id(visit)))
        reply.headers.append((b"x-modelbus-revision", b"%d" % self._revision(visit)))
        if isinstance(body, bytes):
            reply.headers.append((b"content-length", b"%d" % len(body)))
            await self._begin(visit, reply)
            await send({"type": "http.response.body", "body": body})
            return
        try:
            reply.headers.append((b"cache-control", b"no-cache"))
            await self._begin(visit, reply)
            # The pieces end in time by themselves; a caller that does not read them must not hold them for ever.
            async with asyncio.timeout_at(body.until + _LAST_PIECE_S):
                async for piece in body:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body"})
        except TimeoutError:
            body.give_up()
        finally:
            body.close()

    async def _begin(self, visit: Visit, reply: Reply) -> None:
        visit.status = reply.status
        await visit.send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})

    def _revision(self, visit: Visit) -> int:
        return visit.trip.table.revision if visit.trip else self._catalog.follower.revision


def _protocol(path: str, headers: Mapping[bytes, bytes]) -> str:
    """Answer what the caller speaks; where the path does not say it, a header that only one protocol has does."""
    if (endpoint := ENDPOINTS.get(path)) is not None:
        return endpoint.protocol
    return ANTHROPIC if b"anthropic-version" in headers else OPENAI


def _ask(endpoint: Endpoint, headers: Mapping[bytes, bytes], body: bytes) -> Ask:
    if endpoint.is_form:
        return read_form_ask(body, headers.get(b"content-type", b"").decode("latin-1"), endpoint)
    ask = read_ask(body, endpoint)
    return replace(ask, versions=versions_of(headers)) if endpoint.protocol == ANTHROPIC else ask


def _request_id(visit: Visit) -> bytes:
    """Answer the caller's own id for the request if it is fit to be repeated, else ours."""
    given = visit.headers.get(b"x-request-id", b"")
    if 0 < len(given) <= _LONGEST_REQUEST_ID and given.isascii() and given.decode("ascii").isprintable():
        return given
    return str(visit.id).encode()
