"""The router's job the usual way, with FastAPI, pydantic and httpx: check a key, choose, forward, note the usage.

Settings come from the environment: TWIN_PORT, TWIN_KEY, TWIN_UPSTREAM (base URL), TWIN_UPSTREAM_KEY.
"""

import os
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import uvicorn
from fastapi import FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

TIMEOUT_S = 60.0
CONNECTIONS = 1000
USAGE_KEPT = 10_000


class Completion(BaseModel):
    """A request; what is not named here is passed on as it is."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[dict[str, Any]]


def create_app(upstream: str, upstream_key: str, key: str) -> FastAPI:
    """Put the twin together."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    token = {"Authorization": f"Bearer {upstream_key}"}
    client = httpx.AsyncClient(base_url=upstream, headers=token, timeout=TIMEOUT_S, limits=limits, trust_env=False)
    usage: deque[Any] = deque(maxlen=USAGE_KEPT)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/chat/completions")
    async def complete(asked: Completion, authorization: Annotated[str, Header()] = "") -> JSONResponse:
        if authorization != f"Bearer {key}":
            raise HTTPException(401)
        body = asked.model_dump() | {"model": asked.model.removeprefix("openai/")}
        answer = await client.post("/chat/completions", json=body)
        content = answer.json()
        usage.append(content.get("usage"))
        return JSONResponse(content, answer.status_code)

    return app


def main() -> None:
    """Serve as the services are served, until SIGTERM."""
    known = os.environ
    uvicorn.run(
        create_app(known["TWIN_UPSTREAM"], known["TWIN_UPSTREAM_KEY"], known["TWIN_KEY"]),
        port=int(known["TWIN_PORT"]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
    )


if __name__ == "__main__":
    main()
