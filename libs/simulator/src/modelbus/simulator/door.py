"""The door of one provider: who may come in, what is asked, and which fault awaits."""

import asyncio
import itertools
import json
from dataclasses import replace
from typing import Any

from aiohttp import web

from modelbus.simulator.answers import Answer, Ask, Kind, RefusedError, Why
from modelbus.simulator.exchanges import Exchange
from modelbus.simulator.faults import HEALTHY, Fault
from modelbus.simulator.listings import Listing
from modelbus.simulator.providers import Provider
from modelbus.simulator.shape import Shape
from modelbus.simulator.wire import Wire

_EMPTY = Listing.of("empty", ())
_PAGE = b"<!doctype html><html><head><title>Just a moment...</title></head><body><h1>Please wait</h1></body></html>"


class Door:
    """Hears the requests to one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._shape = provider.shape
        self._serials = itertools.count(1)

    def routes(self) -> list[web.RouteDef]:
        """The provider's paths, and one for every other under its name."""
        known = [
            web.route(method, self._shape.prefix + path, self._hear(kind))
            for path, (method, kind) in self._shape.routes.items()
        ]
        return [*known, web.route("*", f"/{self._provider.name}/{{unknown:.*}}", self._hear(Kind.UNKNOWN))]

    def _hear(self, kind: Kind) -> Any:
        async def hear(request: web.Request) -> web.StreamResponse:
            exchange = self._provider.begin_exchange(kind, request.method, request.path, request.headers)
            try:
                return await self._respond(request, kind, exchange)
            except asyncio.CancelledError:
                exchange.client_disconnected = not self._provider.is_closing
                raise
            except ConnectionError:
                exchange.client_disconnected = True
                return web.Response()  # Nobody is left to read it.
            finally:
                exchange.ended.set()

        return hear

    async def _respond(self, request: web.Request, kind: Kind, exchange: Exchange) -> web.StreamResponse:
        body, complaint = await _read_body(request, exchange)
        ask = Ask(
            kind=kind,
            headers=request.headers,
            query=request.query,
            body=body,
            listing=self._provider.listing,
            fault=HEALTHY,
            serial=next(self._serials),
            path=request.path,
        )
        exchange.model = ask.model or None
        fault = self._provider.fault_for(exchange, is_prefilled=ask.is_prefilled)
        if fault is not HEALTHY:
            ask = _afflicted(ask, fault)
        answer = _answer_of_fault(self._shape, fault) or self._answer(ask, exchange.key, complaint)
        named = {**answer.headers, self._shape.request_id_header: f"req_{ask.serial:010d}"}
        if fault is HEALTHY and answer.events is None:
            # Load tests take this way: one write, and nothing waits.
            exchange.status = answer.status
            headers = {"Content-Type": answer.content_type, **named}
            return web.Response(body=answer.body, status=answer.status, headers=headers)
        return await Wire(request, fault, exchange).send(replace(answer, headers=named))

    def _answer(self, ask: Ask, key: str | None, complaint: RefusedError | None) -> Answer:
        try:
            self._admit(ask, key)
            if complaint is not None:
                raise complaint
            self._find_model(ask)
            return self._shape.answer(ask)
        except RefusedError as refused:
            return self._shape.refusal(refused.why, refused.about)

    def _admit(self, ask: Ask, key: str | None) -> None:
        if ask.kind is Kind.UNKNOWN:
            raise RefusedError(Why.PATH_UNKNOWN, ask.path)
        if ask.kind is Kind.MODELS and self._shape.is_listing_open:
            return
        if key is None:
            raise RefusedError(Why.KEY_MISSING)
        if key not in self._provider.keys:
            raise RefusedError(Why.KEY_WRONG, f"{key[:4]}****")

    def _find_model(self, ask: Ask) -> None:
        if ask.kind is Kind.MODELS:
            return
        if not ask.model:
            raise RefusedError(Why.REQUEST_WRONG, "model: Field required")
        if ask.model not in ask.listing.ids:
            raise RefusedError(Why.MODEL_UNKNOWN, ask.model)


async def _read_body(request: web.Request, exchange: Exchange) -> tuple[dict[str, Any], RefusedError | None]:
    """The body as an object; where it is none, an empty one and the complaint, for a wrong key comes first."""
    if request.method != "POST":
        return {}, None
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge:
        return {}, RefusedError(Why.REQUEST_TOO_LARGE)
    except web.RequestPayloadError:
        return {}, RefusedError(Why.REQUEST_WRONG, "We could not read the body of your request.")
    exchange.keep_body(raw)
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return body, None
    return {}, RefusedError(Why.REQUEST_WRONG, "We could not parse the JSON body of your request.")


def _afflicted(ask: Ask, fault: Fault) -> Ask:
    is_emptied = fault.empty_listing and ask.kind is Kind.MODELS
    return replace(ask, fault=fault, listing=_EMPTY if is_emptied else ask.listing)


def _answer_of_fault(shape: Shape, fault: Fault) -> Answer | None:
    """What the fault answers in the provider's place, even to a wrong key; None leaves the answer to the provider."""
    if fault.redirect_to is not None:
        return Answer(status=fault.status or 307, headers={"Location": fault.redirect_to})
    if fault.html:
        return Answer(_PAGE, fault.status or 200, "text/html; charset=utf-8")
    for is_wished, why in (
        (fault.context_length_exceeded, Why.CONTEXT_TOO_LONG),
        (fault.content_filter, Why.CONTENT_FILTERED),
        (fault.refuse_prefill, Why.PREFILL_REFUSED),
    ):
        if is_wished:
            return shape.refusal(why, "")
    if isinstance(fault.body, str):
        return Answer(fault.body.encode(errors="replace"), fault.status or 200, "text/plain; charset=utf-8")
    if fault.body is not None:
        return Answer.of(fault.body, fault.status or 200)
    return None if fault.status is None else shape.failure(fault.status)
