"""Who may enter: administrative paths are guarded before a byte of the body is read."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.problems import problem, respond

ADMINISTRATOR = "administrator"
SERVICE = "service"


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


type Verifier = Callable[[str], Awaitable[Admission | None]]
"""Answers whom a bearer token lets in; None where it is none that the verifier knows."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a service's door knows beside the two static tokens."""

    for_services: tuple[str, ...] = ()
    """Prefixes of the paths that a service's token opens too."""
    public: frozenset[tuple[str, str]] = frozenset()
    """Methods and exact paths that need no token."""
    by_access_key: frozenset[tuple[str, str]] = frozenset()
    """Methods and exact paths that look for an access key themselves where nobody vouches for the caller."""
    verify: Verifier | None = None
    """Asked about every token that is none of the static ones."""
    has_administrator: bool = True
    """Whether the administrator's static token opens anything."""


class Gate:
    """ASGI middleware: paths under /api/ need a bearer token that somebody vouches for.

    What a person may do behind the gate is decided by who knows the paths; a service's token opens the paths that
    the door names, and no other.
    """

    def __init__(self, app: ASGIApp, *, tokens: Mapping[str, str], door: Door) -> None:
        self._app = app
        self._door = door
        self._digests = {
            role: _digest(token) for role, token in tokens.items() if role != ADMINISTRATOR or door.has_administrator
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        if scope["type"] != "http" or not scope["path"].startswith("/api/") or self._is_public(scope):
            await self._app(scope, receive, send)
            return
        admission = await self._admit(Headers(scope=scope).get("authorization", ""))
        if admission is None and (scope["method"], scope["path"]) in self._door.by_access_key:
            await self._app(scope, receive, send)
            return
        if admission is None:
            detail = "this path needs the header 'Authorization: Bearer <token>' with a valid token"
            refused = respond(problem(401, "unauthorized", detail), {"WWW-Authenticate": "Bearer"})
        elif admission.caller.role == Role.SERVICE and not scope["path"].startswith(self._door.for_services or ("\0",)):
            refused = respond(problem(403, "forbidden", "a service's token does not open this path"))
        else:
            state = scope.setdefault("state", {})
            state["caller"], state["admission"] = admission.caller, admission
            await self._app(scope, receive, send)
            return
        await refused(scope, receive, send)

    def _is_public(self, scope: Scope) -> bool:
        return (scope["method"], scope["path"]) in self._door.public

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


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
