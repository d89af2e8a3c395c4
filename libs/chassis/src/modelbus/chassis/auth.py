"""Who may enter: administrative paths are guarded before a byte of the body is read."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.logs import logger
from modelbus.chassis.problems import problem, respond
from modelbus.chassis.roles import (
    ADMIN,
    EDITOR,
    PUBLIC,
    SERVICE,
    Roles,
    RoleTooLowError,
    is_enough,
    needed_by,
    rows_with,
)

ADMINISTRATOR = "administrator"
SERVICE_TOKEN = "service"  # noqa: S105 - whose token it is
RETRY_AFTER_S = "1"
READS = frozenset({"GET", "HEAD"})

log = logger(__name__)


class Means(StrEnum):
    """By what a caller was let in."""

    STATIC = "static"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - a word, not a token
    ISSUER = "issuer"


@dataclass(frozen=True, slots=True)
class Admission:
    """Who was let in, and by what; the gate leaves it in the request's state."""

    caller: Caller
    means: Means = Means.STATIC
    means_id: UUID | None = None
    """The id of the session or token that was shown."""


class NobodyVouchesError(Exception):
    """Whoever could say whom a token lets in does not answer."""


type Verifier = Callable[[str], Awaitable[Admission | None]]
"""Answers whom a bearer token lets in; None where it is none that the verifier knows.

It raises NobodyVouchesError where it can't say."""
type Complain = Callable[[Request, Caller], Awaitable[None]]
"""Keeps what somebody tried whose role is too low."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a service's door knows beside the two static tokens."""

    roles: Roles = MappingProxyType({})
    by_access_key: frozenset[tuple[str, str]] = frozenset()
    """Methods and exact paths that look for an access key themselves where nobody vouches for the caller."""
    verify: Verifier | None = None
    """Asked about every token that is none of the static ones."""
    complain: Complain | None = None


async def guard(request: Request) -> None:
    """Let nobody past whose role is not enough for the path; asked before a transaction begins or an input is judged.

    Raises:
        RoleTooLowError: it is not enough.
    """
    door: Door = request.app.state.door
    path: str = request.scope["route"].path
    needed = needed_by(door.roles, request.method, path)
    caller: Caller | None = getattr(request.state, "caller", None)
    if needed is PUBLIC or (caller is None and (request.method, path) in door.by_access_key):
        return
    assert caller is not None  # noqa: S101 - the gate let nobody else pass
    action = f"{request.method} {path}"
    if not is_enough(caller, needed):
        log.warning("somebody's role is too low", action=action, role=caller.role, needed=needed)
        if door.complain is not None:
            await door.complain(request, caller)
        raise RoleTooLowError(needed)
    if request.method not in READS and needed in {EDITOR, ADMIN}:
        # Who did what, in the log of each service: by the gate each line of a request names its caller.
        log.info("asked by a person", action=action, path=request.url.path, role=caller.role)


GUARDS = (Depends(guard),)
"""For the routers of a service."""


class Gate:
    """ASGI middleware: paths under /api/ need a bearer token that somebody vouches for.

    What a person may do behind the gate is the guard's to say, which knows the routes; a service's token opens what
    begins like a path that the table gives to services, and no other.
    """

    def __init__(self, app: ASGIApp, *, tokens: Mapping[str, str], door: Door) -> None:
        self._app = app
        self._door = door
        self._public = frozenset(rows_with(door.roles, PUBLIC))
        self._for_services = tuple(path.partition("{")[0] for _, path in rows_with(door.roles, SERVICE))
        self._digests = {role: _digest(token) for role, token in tokens.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        if scope["type"] != "http" or not scope["path"].startswith("/api/") or self._is_public(scope):
            await self._app(scope, receive, send)
            return
        try:
            admission = await self._admit(Headers(scope=scope).get("authorization", ""))
        except NobodyVouchesError:
            if not self._is_for_keys(scope):
                await _unvouched()(scope, receive, send)
                return
            admission = None  # A token of a consumer's is the path's own to judge, whether the catalog is there or not.
        if admission is None and self._is_for_keys(scope):
            await self._app(scope, receive, send)
            return
        if admission is None:
            detail = "this path needs the header 'Authorization: Bearer <token>' with a valid token"
            refused = respond(problem(401, "unauthorized", detail), {"WWW-Authenticate": "Bearer"})
        elif admission.caller.role == Role.SERVICE and not scope["path"].startswith(self._for_services):
            refused = respond(problem(403, "forbidden", "a service's token does not open this path"))
        else:
            state = scope.setdefault("state", {})
            state["caller"], state["admission"] = admission.caller, admission
            with bound_contextvars(caller=admission.caller.name):
                await self._app(scope, receive, send)
            return
        await refused(scope, receive, send)

    def _is_public(self, scope: Scope) -> bool:
        return (scope["method"], scope["path"]) in self._public

    def _is_for_keys(self, scope: Scope) -> bool:
        return (scope["method"], scope["path"]) in self._door.by_access_key

    async def _admit(self, authorization: str) -> Admission | None:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return None
        shown = _digest(token)
        matches = [role for role, digest in self._digests.items() if hmac.compare_digest(shown, digest)]
        if matches:
            role = Role.ADMIN if matches[0] == ADMINISTRATOR else Role.SERVICE
            return Admission(Caller(name=matches[0], role=role))
        return None if self._door.verify is None else await self._door.verify(token)


def _unvouched() -> Response:
    detail = "the catalog, which knows the users, does not say who you are; the static tokens still open this"
    return respond(problem(503, "catalog_unavailable", detail), {"Retry-After": RETRY_AFTER_S})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
