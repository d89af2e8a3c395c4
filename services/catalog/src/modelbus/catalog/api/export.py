"""Export and restore of the whole configuration over REST."""

import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import IO, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request
from pydantic import AfterValidator
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from modelbus.catalog.actions.audit import audit_reading
from modelbus.catalog.actions.export import Exporter, write_export
from modelbus.catalog.actions.restore import Wishes
from modelbus.catalog.actions.restore import restore as restore_document
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.views import View
from modelbus.catalog.domain.history_errors import PassphraseNeededError
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1", tags=["export"], route_class=OnceRoute, dependencies=GUARDS)

RESTORE = "/api/v1/restore"
SENT_AT_ONCE = 64 * 1024
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "What `GET /api/v1/export` answered.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"description": "The document.", "content": {"application/json": {"schema": {"type": "object"}}}}
}


def _printable(passphrase: str) -> str:
    if not passphrase.isascii() or not passphrase.isprintable():
        raise ValueError("must be printable ASCII characters")
    return passphrase


Passphrase = Annotated[
    str | None,
    Header(
        alias="X-Modelbus-Passphrase",
        min_length=12,
        max_length=1000,
        description="What the secrets are sealed with; it is never stored.",
    ),
    AfterValidator(lambda given: None if given is None else _printable(given)),
]


class Sealed(StrEnum):
    """By what the secrets in a document are sealed."""

    PASSPHRASE = "passphrase"  # noqa: S105 - a word, not a secret
    MASTER = "master"


class RestoreReport(View):
    """What came of a restore, or would come of it."""

    dry_run: bool
    before: dict[str, int]
    """Rows that were here, by table."""
    after: dict[str, int]
    """Rows that are here now."""
    epoch: UUID | None
    """The epoch that began; null where nothing was done."""


@routes.get("/export", response_class=StreamingResponse, responses=_ANSWER)
async def export_configuration(
    request: Request,
    session: Reading,
    passphrase: Passphrase = None,
    secrets: Annotated[
        Sealed, Query(description="`master` leaves secrets under the master key: only who has it can restore them.")
    ] = Sealed.PASSPHRASE,
) -> StreamingResponse:
    """Write the whole configuration as one document, as it is at one moment; secrets in it are sealed."""
    if secrets == Sealed.PASSPHRASE and passphrase is None:
        raise PassphraseNeededError("must be given, or ?secrets=master")
    exporter = Exporter(request.app.state.vault, passphrase if secrets == Sealed.PASSPHRASE else None)
    # To a file first: what breaks off must not look whole, and no view of the database waits for a slow reader.
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the last of it is sent
    with ExitStack() as unless_sent:
        unless_sent.callback(file.close)
        await write_export(session, exporter, file)
        done = f"GET {request.scope['route'].path}"
        await audit_reading(
            request.app.state.database, request.state.caller, done, request.url.path, secrets=secrets.value
        )
        unless_sent.pop_all()
    size = file.tell()
    file.seek(0)
    name = f"modelbus-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(size)}
    return _Document(file, headers)


@routes.post("/restore", openapi_extra=_BODY)
async def restore_configuration(
    request: Request,
    session: Transaction,
    passphrase: Passphrase = None,
    dry_run: Annotated[bool, Query(description="Only find out whether it could be restored.")] = False,  # noqa: FBT002
    replace: Annotated[bool, Query(description="Take away what is configured here.")] = False,  # noqa: FBT002
) -> RestoreReport:
    """Put a document in place of the whole configuration: all of it or nothing, with every id as it was.

    Needs `?replace=true` where anything is configured. A new epoch begins, and everybody who follows the catalog
    takes a snapshot; whoever is signed in has to sign in again.
    """
    with tempfile.TemporaryFile() as file:
        async for chunk in request.stream():
            file.write(chunk)
        file.flush()
        wishes = Wishes(dry_run=dry_run, replace=replace, passphrase=passphrase)
        report = await restore_document(session, request.app.state.vault, file, wishes)
    return RestoreReport(
        dry_run=dry_run, before=report.before, after=report.after, epoch=None if dry_run else report.epoch
    )


class _Document(StreamingResponse):
    """Sends a file, and closes it also where nobody is left to read it."""

    def __init__(self, file: IO[bytes], headers: dict[str, str]) -> None:
        super().__init__(iter(partial(file.read, SENT_AT_ONCE), b""), media_type="application/json", headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)
