"""Health: alive is the process, ready is what it needs; readiness says what is missing."""

from collections.abc import Awaitable, Callable, Mapping

import orjson
from fastapi import APIRouter
from starlette.responses import Response

type Check = Callable[[], Awaitable[str | None]]
"""Answers what is wrong in a few words, or None."""


def routes(checks: Mapping[str, Check]) -> APIRouter:
    """Answer `/health/live` and `/health/ready` over the given checks."""
    health = APIRouter(prefix="/health", tags=["health"])

    @health.get("/live")
    async def live() -> dict[str, str]:
        """Tell that the process serves requests."""
        return {"status": "live"}

    @health.get("/ready", responses={503: {"description": "Something is missing; `missing` says what."}})
    async def ready() -> Response:
        """Tell whether everything that the service needs is there."""
        answers = {name: await check() for name, check in checks.items()}
        missing = {name: answer for name, answer in answers.items() if answer is not None}
        body = {"status": "not ready" if missing else "ready", "missing": missing}
        return Response(orjson.dumps(body), 503 if missing else 200, media_type="application/json")

    return health
