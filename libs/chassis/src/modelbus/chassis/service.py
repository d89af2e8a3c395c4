"""A service's outer shape: one FastAPI app with the common doors, and a server that stops within bounds."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from modelbus.chassis import auth, health, openapi, problems
from modelbus.chassis import metrics as metrics_page
from modelbus.chassis.connections import Connection, Patience
from modelbus.chassis.ending import EndsInTime, Server
from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import configure_logs, logger
from modelbus.chassis.loops import stop
from modelbus.chassis.memory import settle
from modelbus.chassis.metrics import Counting, Metrics, Requests
from modelbus.chassis.settings import ServiceSettings
from modelbus.chassis.tracing import HEADER, joined, start_tracing

REQUEST_ID = "x-request-id"
REVISION = "x-modelbus-revision"
TRACE_HEADER = HEADER.encode()
LONGEST_REQUEST_ID = 128
EXIT_NOT_STARTED = 3
"""As uvicorn's own command has it."""
EXIT_JOB_FAILED = 70

failed_jobs: list[str] = []
"""Why this process ends; there is one service in it."""

type Job = Callable[[], Awaitable[None]]

log = logger(__name__)


class RequestContext:
    """ASGI middleware: gives each request an id, in the logs and in the answer, and tells the revision it took."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(REQUEST_ID.encode(), b"").decode("latin-1")
        request_id = given if 0 < len(given) <= LONGEST_REQUEST_ID and given.isprintable() else str(new_id())
        state = scope.setdefault("state", {})

        is_answered = False

        async def send_with_ids(message: Message) -> None:
            nonlocal is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                answered = MutableHeaders(scope=message)
                answered[REQUEST_ID] = request_id
                if state.get("revision") is not None:
                    answered[REVISION] = str(state["revision"])
            await send(message)

        with bound_contextvars(request_id=request_id, **joined(headers.get(TRACE_HEADER, b"").decode("latin-1"))):
            try:
                await self._app(scope, receive, send_with_ids)
            except Exception as error:
                if is_answered:
                    raise
                # Here, and not outside: both the answer and the log line have the request's id.
                await problems.unexpected(scope["path"], error)(scope, receive, send_with_ids)


class BodyLimit:
    """ASGI middleware: a body that is too long is refused by a problem, announced or not.

    `larger` names the paths that take more than the others.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        announced = dict(scope.get("headers", ())).get(b"content-length", b"0")
        most = self._larger.get(scope.get("path", ""), self._max_bytes)
        detail = f"the body is longer than {most} bytes"
        if scope["type"] == "http" and announced.isdigit() and int(announced) > most:
            await problems.respond(problems.problem(413, "body_too_large", detail))(scope, receive, send)
            return
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                # FastAPI passes an HTTPException from the body on to the handler of refusals.
                raise HTTPException(413, detail)
            return message

        await self._app(scope, receive_within_limit, send)


def build(  # noqa: PLR0913 - the things in which services differ
    *,
    title: str,
    description: str,
    settings: ServiceSettings,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]],
    checks: Mapping[str, health.Check],
    statuses: Mapping[type[Exception], int],
    door: auth.Door = auth.Door(),  # noqa: B008 - frozen
    larger_bodies: Mapping[str, int] = MappingProxyType({}),
    examples: Mapping[str, Any] = MappingProxyType({}),
    metrics: Metrics = Metrics(),  # noqa: B008 - holds nothing that changes
    impairments: Mapping[str, health.Check] = MappingProxyType({}),
) -> FastAPI:
    """Build the app with ids, auth, limits, problems and health; the service adds its routes."""
    app = FastAPI(
        title=title,
        description=description,
        lifespan=lifespan,
        # Pages that load scripts from elsewhere have no place beside an administrator's token; /openapi.json stays.
        docs_url=None,
        redoc_url=None,
        # Spans of requests alone: figures are ours, and what went wrong is in our logs, without what was sent.
        telemetry={"metrics": False, "logs": False, "operation_spans": False},
    )
    app.state.door = door
    app.openapi = partial(openapi.describe, app, door.roles, examples)  # type: ignore[method-assign]
    app.router.routes.extend(health.routes(checks, impairments).routes)
    problems.install(app, statuses)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, larger=larger_bodies)
    app.add_middleware(
        auth.Gate,
        tokens=_tokens(settings),
        door=door,
    )
    app.add_middleware(RequestContext)
    requests = Requests(title.removeprefix("Modelbus "))
    app.add_middleware(Counting, requests=requests)
    app.router.routes.extend(metrics_page.routes(metrics, requests, settings.metrics_token).routes)
    return app


def _tokens(settings: ServiceSettings) -> dict[str, str]:
    tokens = {auth.SERVICE_TOKEN: settings.service_token.get_secret_value()}
    if settings.admin_token_accepted:
        tokens[auth.ADMINISTRATOR] = settings.admin_token.get_secret_value()
    return tokens


@asynccontextmanager
async def running(jobs: Mapping[str, Awaitable[None]]) -> AsyncIterator[None]:
    """Run the jobs beside the block; one that ends by an error stops the process, for a supervisor to restart."""

    def report(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.critical("a job failed and the service stops", job=task.get_name(), exc_info=task.exception())
            failed_jobs.append(task.get_name())
            signal.raise_signal(signal.SIGTERM)

    tasks = []
    for name, job in jobs.items():
        task = asyncio.ensure_future(job)
        assert isinstance(task, asyncio.Task)  # noqa: S101 - jobs are coroutines
        task.set_name(name)
        task.add_done_callback(report)
        tasks.append(task)
    try:
        yield
    finally:
        await stop([task for task in tasks if not task.done()])


def start[S: ServiceSettings](create_app: Callable[[S], Any], settings: S, *, name: str) -> None:
    """Configure the logs, assemble the service, and serve it until it is told to stop."""
    configure_logs(name, settings.log_level, settings.log_format)
    start_tracing(settings, name)
    serve(create_app(settings), settings)


def serve(app: Any, settings: ServiceSettings) -> None:
    """Serve until SIGTERM or SIGINT; running requests get `shutdown_s` seconds to end, and all else `CLOSING_S`.

    Ends with exit code 0, or with `EXIT_JOB_FAILED` where a job of the service failed.
    """

    def exit_code() -> int:
        return EXIT_JOB_FAILED if failed_jobs else 0

    settle()
    # The server raises the signal that stopped it once more when all is closed; by then it is ours to answer.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(exit_code()))
    config = uvicorn.Config(
        EndsInTime(app, exit_code),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=partial(Connection, patience=Patience(settings.head_s)),  # type: ignore[arg-type]  # a class in all but name
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        # Longer than most clients keep an idle connection, so that it is they who close it, not we under a request.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.shutdown_s),
    )
    server = Server(config, exit_code)
    server.run()
    if not server.started:
        sys.exit(EXIT_NOT_STARTED)
