"""Who may enter: administrative paths are guarded before a byte of the body is read."""

import hashlib
import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.problems import problem, respond

ADMINISTRATOR = "administrator"
SERVICE = "service"


class Gate:
    """ASGI middleware: paths under /api/ need a bearer token of the right role.

    `for_services` lists the path prefixes that a service's token opens too; everything else there is the
    administrator's alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: Mapping[str, str],
        for_services: tuple[str, ...] = (),
    ) -> None:
        self._app = app
        self._digests = {role: _digest(token) for role, token in tokens.items()}
        self._for_services = for_services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        role = self._role(Headers(scope=scope).get("authorization", ""))
        if role is None:
            detail = "this path needs the header 'Authorization: Bearer <token>' with a valid token"
            refused = respond(problem(401, "unauthorized", detail), {"WWW-Authenticate": "Bearer"})
        elif role == SERVICE and not scope["path"].startswith(self._for_services or ("\0",)):
            refused = respond(problem(403, "forbidden", "a service's token does not open this path"))
        else:
            scope.setdefault("state", {})["caller"] = Caller(
                name=role, role=Role.ADMIN if role == ADMINISTRATOR else Role.SERVICE
            )
            await self._app(scope, receive, send)
            return
        await refused(scope, receive, send)

    def _role(self, authorization: str) -> str | None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        shown = _digest(token.strip())
        matches = [role for role, digest in self._digests.items() if hmac.compare_digest(shown, digest)]
        return matches[0] if matches else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
