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
from modelbus.chassis.connections import CALLER
from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import logger
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.complexity.conversations import CONVERSATION, conversation_of
from modelbus.router.domain.errors import CallerGoneError, Refusal, UnknownPathError, WrongMethodError
from modelbus.router.ingress.access import admit, shown_by
from modelbus.router.ingress.body import BodyLimits, read_body
from modelbus.router.ingress.models import ModelList, show
from modelbus.router.ingress.refusals import internal_error, refuse
from modelbus.router.ingress.sending import send_pieces, send_whole
from modelbus.router.ingress.tokens import Tokens, token_of
from modelbus.router.ingress.watch import Caller, CallerWatch
from modelbus.router.journey.ask import Ask, read_ask, read_form_ask
from modelbus.router.journey.explaining import header_of
from modelbus.router.journey.patience import wishes_of
from modelbus.router.journey.reply import Reply
from modelbus.router.journey.shadows import Shadows
from modelbus.router.journey.spans import Spans, within_callers_trace
from modelbus.router.journey.trip import CUT, FAILED, Trip
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.gate import Gate
from modelbus.router.limits.headers import limit_headers
from modelbus.router.memo.memo import Memo
from modelbus.router.memo.repeats import Claim
from modelbus.router.naming.resolving import scope_of
from modelbus.router.wire.endpoints import ENDPOINTS, Endpoint
from modelbus.router.wire.envelopes import ANTHROPIC, OPENAI
from modelbus.router.wire.versions import versions_of

PREFIX = "/v1/"
_TRACE_PARENT = b"traceparent"
_MODELS = "/v1/models"
_LONGEST_REQUEST_ID = 128
# What nginx writes in its log for a caller that left; nobody is told it.
_CALLER_LEFT = 499
_LAST_PIECE_S = 1.0
_SCOPE, _EXPLAIN, _ONCE = b"x-modelbus-scope", b"x-modelbus-explain", b"idempotency-key"

log = logger(__name__)

type Handler = Callable[["Visit"], Awaitable[None]]


@dataclass(slots=True)
class Visit:
    """One HTTP request and the means to answer it."""

    path: str
    headers: Mapping[bytes, bytes]
    receive: Receive
    send: Send
    connection: Caller
    id: UUID
    protocol: str
    """What the caller speaks."""
    trip: Trip | None = None
    allowance: Allowance | None = None
    status: int = _CALLER_LEFT
    """Of the answer, once it has begun."""
    is_accounted: bool = False


class Door:
    """Hears /v1: who calls, what is asked, and what is answered."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that it joins
        self,
        catalog: CatalogCopy,
        memo: Memo,
        ledger: Ledger,
        gate: Gate,
        body_limits: BodyLimits,
        tokens: Tokens | None = None,
        spans: Spans | None = None,
        shadows: Shadows | None = None,
    ) -> None:
        self._catalog = catalog
        self._memo = memo
        self._ledger = ledger
        self._gate = gate
        self._body_limits = body_limits
        self._tokens = tokens
        self._spans = spans
        self._shadows = shadows
        self._list = ModelList()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        headers = dict(scope["headers"])
        path, connection = scope["path"], scope["extensions"][CALLER]
        visit = Visit(path, headers, receive, send, connection, new_id(), _protocol(path, headers))
        try:
            await last_resort.attempt(self._hear(scope, visit), partial(self._own_up, visit))
        finally:
            self._account(visit)
            if visit.trip and self._shadows is not None:
                self._shadows.follow(visit.trip, visit.status)

    def _account(self, visit: Visit) -> None:
        """Record what came of the request. Before the end of its answer: what a caller has must not be unrecorded."""
        if visit.is_accounted:
            return
        visit.is_accounted = True
        entry = visit.trip.entry(visit.status) if visit.trip else None
        self._gate.leave(visit.allowance, visit.trip.used_tokens if visit.trip else 0, entry)
        if entry and visit.trip:
            self._ledger.record(self._traced(visit, visit.trip, entry))

    def _traced(self, visit: Visit, trip: Trip, entry: RequestEntry) -> RequestEntry:
        parent = visit.headers.get(_TRACE_PARENT)
        if self._spans is not None:
            return self._spans.tell(trip, entry, parent)
        return entry if parent is None else within_callers_trace(entry, parent)

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
        caller = await self.admit(table, visit.headers)
        body = await self.read(visit.receive, visit.connection, visit.headers)
        ask, claim = _ask(endpoint, visit.headers, body), _claim(visit, caller, body)
        wishes = wishes_of(visit.headers)
        visit.allowance = self._gate.allowance_of(table, caller)
        self._gate.enter(table, caller, visit.allowance, ask.fields)
        visit.trip = trip = Trip(ask, caller, table, visit.id, started_at, begun, wishes)
        with CallerWatch(visit.connection):
            await self._carry(visit, trip, claim)

    async def _carry(self, visit: Visit, trip: Trip, claim: Claim | None) -> None:
        try:
            reply = await self._memo.carry(trip, claim)
        except Refusal as refusal:
            reply = refuse(refusal, visit.protocol)
            reply.headers.append((b"x-modelbus-attempts", b"%d" % len(trip.attempts)))
        if trip.choice is not None and visit.headers.get(_EXPLAIN) == b"1":
            reply.headers.append((_EXPLAIN, header_of(trip.choice, trip.table.revision, trip.ruling)))
        await self._answer(visit, reply)

    async def admit(self, table: Table, headers: Mapping[bytes, bytes]) -> AccessKey:
        """Answer whose access key or token a request shows.

        Raises:
            KeyRefusedError: it shows none that is good now.
            IssuerAwayError: its token can't be verified now.
        """
        if self._tokens is not None and (token := token_of(shown_by(headers))):
            return await self._tokens.admit(table, token)
        return admit(table, headers)

    async def read(self, receive: Receive, caller: Caller, headers: Mapping[bytes, bytes]) -> bytes:
        """Read the body of a request, within the limits of all.

        Raises:
            Refusal: it is too long, or does not come in time.
            CallerGoneError: the caller left meanwhile.
        """
        return await read_body(receive, caller, headers, self._body_limits)

    async def _list_models(self, visit: Visit) -> None:
        table = self._catalog.table
        await self._answer(visit, self._list.of(table, await self._within_scope(table, visit), visit.protocol))

    async def _show_model(self, visit: Visit) -> None:
        table = self._catalog.table
        name = visit.path.removeprefix(_MODELS + "/")
        await self._answer(visit, show(table, await self._within_scope(table, visit), name, visit.protocol))

    async def _within_scope(self, table: Table, visit: Visit) -> AccessKey:
        caller, scope = await self.admit(table, visit.headers), _scope(visit.headers)
        return caller if scope is None else caller.among(scope_of(table, scope, caller).model_ids)

    async def _answer(self, visit: Visit, reply: Reply) -> None:
        """Say what every answer says, and send it."""
        body = reply.body
        reply.headers.append((b"x-request-id", _request_id(visit)))
        if visit.protocol == ANTHROPIC:
            reply.headers.append((b"request-id", _request_id(visit)))
        reply.headers.append((b"x-modelbus-revision", b"%d" % self._revision(visit)))
        if visit.allowance is not None:
            reply.headers += limit_headers(visit.allowance, visit.protocol)
        visit.status = reply.status
        if isinstance(body, bytes):
            self._account(visit)
            await send_whole(visit.connection, visit.send, reply, body)
            return
        reply.headers.append((b"cache-control", b"no-cache"))
        try:
            # The pieces end in time by themselves; a caller that does not read them must not hold them for ever.
            async with asyncio.timeout_at(body.until + _LAST_PIECE_S):
                await send_pieces(visit.connection, visit.send, reply, body, partial(self._account, visit))
        except TimeoutError:
            body.give_up()
        finally:
            body.close()

    def _revision(self, visit: Visit) -> int:
        return visit.trip.table.revision if visit.trip else self._catalog.follower.revision


def _protocol(path: str, headers: Mapping[bytes, bytes]) -> str:
    """Answer what the caller speaks; where the path does not say it, a header that only one protocol has does."""
    if (endpoint := ENDPOINTS.get(path)) is not None:
        return endpoint.protocol
    return ANTHROPIC if b"anthropic-version" in headers else OPENAI


def _ask(endpoint: Endpoint, headers: Mapping[bytes, bytes], body: bytes) -> Ask:
    if endpoint.is_form:
        ask = read_form_ask(body, headers.get(b"content-type", b"").decode("latin-1"), endpoint, headers)
    else:
        ask = read_ask(body, endpoint, headers)
    if endpoint.protocol == ANTHROPIC:
        ask = replace(ask, versions=versions_of(headers))
    if scope := _scope(headers):
        ask = replace(ask, scope=scope)
    return replace(ask, conversation=conversation_of(headers)) if CONVERSATION in headers else ask


def _scope(headers: Mapping[bytes, bytes]) -> str | None:
    return headers.get(_SCOPE, b"").decode("utf-8", "replace") or None


def _claim(visit: Visit, caller: AccessKey, body: bytes) -> Claim | None:
    """Answer the claim that the request be carried once, if it makes one."""
    key = visit.headers.get(_ONCE)
    if key is None:
        return None
    return Claim.of(caller.id, key, visit.path.encode(), visit.headers.get(_SCOPE, b""), body)


def _request_id(visit: Visit) -> bytes:
    """Answer the caller's own id for the request if it is fit to be repeated, else ours."""
    given = visit.headers.get(b"x-request-id", b"")
    if 0 < len(given) <= _LONGEST_REQUEST_ID and given.isascii() and given.decode("ascii").isprintable():
        return given
    return str(visit.id).encode()
