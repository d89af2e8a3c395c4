"""Which refusal has which status, and how it is worded on /v1."""

from collections.abc import Mapping

from modelbus.router.domain import errors
from modelbus.router.journey.envelope import CALLERS, OURS, error_body
from modelbus.router.journey.reply import JSON, Reply

STATUSES: Mapping[type[errors.Refusal], int] = {
    errors.NotLoadedError: 503,
    errors.KeyRefusedError: 401,
    errors.MalformedRequestError: 400,
    errors.BodyTooLargeError: 413,
    errors.BodyTooSlowError: 408,
    errors.UnknownPathError: 404,
    errors.WrongMethodError: 405,
    errors.ModelNotFoundError: 404,
    errors.ModelNotPermittedError: 403,
    errors.ModelUnavailableError: 503,
    errors.UpstreamFailedError: 502,
    errors.CredentialsExhaustedError: 502,
    errors.UpstreamLateError: 504,
}
# The rest of the body is not waited for, so the connection can't carry another request.
_UNREAD = (errors.BodyTooLargeError, errors.BodyTooSlowError)
_SERVER_ERROR = 500


def internal_error() -> Reply:
    """Word an error of ours, of which nothing is told."""
    body = error_body("an internal error; please report the x-request-id", fault=OURS, code="internal_error")
    return Reply(_SERVER_ERROR, body, [(b"content-type", JSON)])


def refuse(refusal: errors.Refusal) -> Reply:
    """Word the refusal in OpenAI's envelope."""
    status = STATUSES[type(refusal)]
    fault = OURS if status >= _SERVER_ERROR else CALLERS
    body = error_body(str(refusal), fault=fault, code=refusal.code, param=refusal.param)
    reply = Reply(status, body, [(b"content-type", JSON)])
    if isinstance(refusal, _UNREAD):
        reply.headers.append((b"connection", b"close"))
    return reply
