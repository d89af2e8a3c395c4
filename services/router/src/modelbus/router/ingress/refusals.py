"""Which refusal has which status, and how it is worded on /v1."""

from collections.abc import Mapping
from math import ceil

from modelbus.router.domain import errors
from modelbus.router.journey.reply import JSON, Reply
from modelbus.router.wire.envelopes import error_body

STATUSES: Mapping[type[Exception], int] = {
    errors.NotLoadedError: 503,
    errors.KeyRefusedError: 401,
    errors.IssuerAwayError: 503,
    errors.MalformedRequestError: 400,
    errors.IdempotencyKeyMalformedError: 400,
    errors.IdempotencyKeyReusedError: 422,
    errors.BodyTooLargeError: 413,
    errors.BodyTooSlowError: 408,
    errors.UnknownPathError: 404,
    errors.WrongMethodError: 405,
    errors.ModelNotFoundError: 404,
    errors.ModelNotPermittedError: 403,
    errors.ModelUnavailableError: 503,
    errors.ScopeNotPermittedError: 403,
    errors.NoCapableSourceError: 400,
    errors.UnsupportedBySourceError: 400,
    errors.RateLimitedError: 429,
    errors.QuotaReachedError: 429,
    errors.BudgetExceededError: 429,
    errors.UpstreamFailedError: 502,
    errors.CredentialsExhaustedError: 502,
    errors.UpstreamLateError: 504,
}
# The rest of the body is not waited for, so the connection can't carry another request.
_UNREAD = (errors.BodyTooLargeError, errors.BodyTooSlowError)
_SERVER_ERROR = 500


def internal_error(protocol: str) -> Reply:
    """Word an error of ours, of which nothing is told."""
    words = "an internal error; please report the x-request-id"
    body = error_body(protocol, _SERVER_ERROR, words, "internal_error")
    return Reply(_SERVER_ERROR, body, [(b"content-type", JSON)])


def refuse(refusal: errors.Refusal, protocol: str) -> Reply:
    """Word the refusal in the envelope of the protocol that the caller speaks."""
    status = STATUSES[type(refusal)]
    body = error_body(protocol, status, str(refusal), refusal.code, refusal.param, refusal.attempts)
    reply = Reply(status, body, [(b"content-type", JSON)])
    if isinstance(refusal, _UNREAD):
        reply.headers.append((b"connection", b"close"))
    if refusal.is_final:
        reply.headers.append((b"x-should-retry", b"false"))
    if refusal.retry_after_s is not None:
        reply.headers.append((b"retry-after", b"%d" % max(ceil(refusal.retry_after_s), 1)))
    return reply
