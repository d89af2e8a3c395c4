"""What a service with a database refuses besides, as problem documents: what PostgreSQL says, and used-up keys."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response

from modelbus.chassis.database_outages import TRY_AGAIN_STATES
from modelbus.chassis.idempotency_key import (
    IdempotencyAnswerLostError,
    IdempotencyKeyMalformedError,
    IdempotencyKeyReusedError,
)
from modelbus.chassis.outbox import EventTooLargeError
from modelbus.chassis.parking import NotParkedError, RetryFailedError
from modelbus.chassis.problems import RETRY_AFTER_S, problem, refuse_by, respond, unexpected

STATUSES: Mapping[type[Exception], int] = {
    EventTooLargeError: 413,
    NotParkedError: 404,
    RetryFailedError: 409,
    IdempotencyKeyMalformedError: 400,
    IdempotencyKeyReusedError: 422,
    IdempotencyAnswerLostError: 409,
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_UNIQUE_VIOLATION, _FOREIGN_KEY_VIOLATION = "23505", "23503"
_DATA_EXCEPTION_CLASS = "22"


def install(app: FastAPI) -> None:
    """Answer these by problem documents too."""
    refuse_by(app, STATUSES)
    app.add_exception_handler(DBAPIError, _refused)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, DBAPIError)  # noqa: S101 - registered for it alone
    state = getattr(error.orig, "sqlstate", None) or ""
    if state == _UNIQUE_VIOLATION:
        return respond(problem(409, "already_exists", "something with these unique values exists already"))
    if state == _FOREIGN_KEY_VIOLATION:
        return respond(problem(409, "dangling_reference", "the change refers to something that is not there"))
    if state.startswith(_DATA_EXCEPTION_CLASS):
        return respond(problem(422, "invalid_input", "a value can't be stored: a NUL character or out of range"))
    if state in TRY_AGAIN_STATES:
        detail = "another change is in the way; try again"
        return respond(problem(503, "try_again", detail), {"Retry-After": RETRY_AFTER_S})
    return unexpected(request.url.path, error)
