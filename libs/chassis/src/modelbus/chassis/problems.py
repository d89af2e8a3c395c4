"""Refusals become problem documents (RFC 9457): one place turns whatever went wrong into words for the caller."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from modelbus.chassis.logs import logger
from modelbus.chassis.outages import is_outage
from modelbus.chassis.roles import RoleTooLowError
from modelbus.contracts.problems import FieldError, Problem

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "1"

_OWN: Mapping[type[Exception], int] = {RoleTooLowError: 403}

log = logger(__name__)


def install(app: FastAPI, statuses: Mapping[type[Exception], int]) -> None:
    """Answer every failure of the app by a problem document; `statuses` maps the service's refusals."""
    refuse_by(app, {**_OWN, **statuses})
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def refuse_by(app: FastAPI, statuses: Mapping[type[Exception], int]) -> None:
    """Answer these refusals by problem documents of the statuses."""

    async def refuse(_request: Request, error: Exception) -> Response:
        status = next(statuses[kind] for kind in type(error).__mro__ if kind in statuses)
        return respond(refusal(error, status), getattr(error, "headers", None))

    for kind in statuses:
        app.add_exception_handler(kind, refuse)


def refusal(error: Exception, status: int) -> Problem:
    """Build the problem of a named refusal: `code` is its own, `errors` and `findings` if it has some."""
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=str(error),
        code=getattr(error, "code", "refused"),
        errors=getattr(error, "errors", []),
        findings=getattr(error, "findings", []),
    )


def problem(status: int, code: str, detail: str, errors: list[FieldError] | None = None) -> Problem:
    """Build a problem by hand."""
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, errors=errors or [])


def respond(document: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """Send the document."""
    return Response(document.model_dump_json(), document.status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def field_errors(errors: Any) -> list[FieldError]:
    """Name each field that pydantic refused, without repeating the input, which may hold a secret."""
    return [
        FieldError(
            field=".".join(str(part) for part in error["loc"] if part != "body") or "body",
            message=error["msg"],
        )
        for error in errors
    ]


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        where = errors[0].get("ctx", {}).get("error", "")
        return respond(problem(400, "malformed_json", f"the body is not JSON: {where}"))
    named = field_errors(errors)
    detail = "; ".join(f"{each.field}: {each.message}" for each in named[:5])
    return respond(problem(422, "invalid_input", detail, named))


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    code = {
        400: "malformed_request",
        404: "no_such_path",
        405: "method_not_allowed",
        413: "body_too_large",
    }.get(error.status_code, "refused")
    return respond(problem(error.status_code, code, str(error.detail)), error.headers)


def unexpected(path: str, error: Exception) -> Response:
    """Answer what no refusal is named for: an outage of a neighbour, or a fault of ours."""
    if is_outage(error):
        log.warning("request failed by an outage", path=path, error=repr(error))
        detail = "a part that this needs is away; try again"
        return respond(problem(503, "temporarily_unavailable", detail), {"Retry-After": RETRY_AFTER_S})
    log.error("request failed by a fault of ours", path=path, exc_info=error)
    return respond(problem(500, "internal_error", "this is a fault of ours; the log has it under the request id"))
