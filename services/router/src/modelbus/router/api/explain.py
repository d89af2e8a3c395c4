"""Explaining: who would serve a request, and why nobody else; nothing is called."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from time import monotonic
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from starlette.types import Receive

from modelbus.chassis.connections import CALLER
from modelbus.router.balance.balancer import Balancer
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.complexity.conversations import CONVERSATION, conversation_of
from modelbus.router.domain.errors import MalformedRequestError
from modelbus.router.journey.ask import Ask, read_ask
from modelbus.router.journey.explaining import Explanation, explain
from modelbus.router.journey.levels import Levels
from modelbus.router.wire.endpoints import ENDPOINTS

PATH = "/api/v1/explain"
ADMINISTRATOR = AccessKey(UUID(int=0), "", is_active=True, expires_at=None, model_ids=None)
"""Whom no permission binds."""

type Admit = Callable[[Table, Mapping[bytes, bytes]], Awaitable[AccessKey]]
"""Answers whose access key the headers of a request show."""
type Read = Callable[[Receive, Any, Mapping[bytes, bytes]], Awaitable[bytes]]
"""Reads the body that comes over a connection, within limits."""

_BODY = {"type": "object", "additionalProperties": True, "description": "The request, as it would be sent to `path`."}
_DESCRIBED = {"requestBody": {"required": True, "content": {"application/json": {"schema": _BODY | {"title": "Body"}}}}}
Where = Annotated[str, Query(description="The path where it would be asked.")]
Seed = Annotated[int | None, Query(description="Where chance decides, the same seed decides alike.")]
Whose = Annotated[UUID | None, Query(description="For administrators: the access key that would be shown.")]


def routes(catalog: CatalogCopy, balancer: Balancer, levels: Levels, admit: Admit, read: Read) -> APIRouter:
    """Answer the route over this balancer."""
    router = APIRouter(tags=["explain"])

    @router.post(PATH, openapi_extra=_DESCRIBED)
    async def explain_request(
        request: Request,
        path: Where = "/v1/chat/completions",
        seed: Seed = None,
        access_key_id: Whose = None,
        x_modelbus_scope: Annotated[str | None, Header()] = None,
    ) -> Explanation:
        """Explain who would serve a request, in turn, and why each of the others is left out; nothing is called.

        An access key explains its own requests. A user's token explains anybody's, and shows credentials.
        """
        table, headers = catalog.table, dict(request.headers.raw)
        is_administrator = hasattr(request.state, "caller")
        caller = _held(table, access_key_id) if is_administrator else await admit(table, headers)
        # After the key: the framework would have read a body of any length and shape by now, whoever sends it.
        body = await read(request.receive, request.scope["extensions"][CALLER], headers)
        ask = replace(_ask(path, body, headers), scope=x_modelbus_scope)
        wanted = balancer.find(table, ask, caller)
        complexity = wanted.meaning.complexity
        ruling = None if complexity is None else levels.foresee(ask, caller, complexity)
        choice = balancer.explain(wanted, ask, caller, seed, ruling.level if ruling else None)
        standings = balancer.standings if is_administrator else None
        return explain(choice, table.revision, ruling, standings, monotonic())

    return router


def _held(table: Table, access_key_id: UUID | None) -> AccessKey:
    if access_key_id is None:
        return ADMINISTRATOR
    key = table.access_keys.get(access_key_id)
    if key is None:
        raise MalformedRequestError(f"there is no access key {access_key_id}", "access_key_id")
    consumer = None if key.consumer_id is None else table.consumers.get(key.consumer_id)
    return key if consumer is None else key.within(consumer)


def _ask(path: str, body: bytes, headers: Mapping[bytes, bytes]) -> Ask:
    endpoint = ENDPOINTS.get(path)
    if endpoint is None or endpoint.is_form:
        known = ", ".join(each for each, one in ENDPOINTS.items() if not one.is_form)
        raise MalformedRequestError(f"path must be one of {known}", "path")
    # By its bytes, spaces included, the request belongs to the conversation that it would be sent in.
    ask = read_ask(body, endpoint, headers)
    return replace(ask, conversation=conversation_of(headers)) if CONVERSATION in headers else ask
