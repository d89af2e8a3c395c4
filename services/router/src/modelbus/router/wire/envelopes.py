"""The error envelopes of both protocols: how callers are told of refusals, and of streams that break off.

https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

OPENAI, ANTHROPIC = "openai", "anthropic"

type Attempts = Sequence[Mapping[str, Any]]
"""What was tried, and what came of it."""

_CALLERS, _OURS = "invalid_request_error", "server_error"
_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(
    protocol: str, status: int, words: str, code: str, param: str | None = None, attempts: Attempts = ()
) -> bytes:
    """Write an error as the protocol has it, and add what has no field there: attempts, and our code to Anthropic's."""
    if protocol == ANTHROPIC:
        error = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": words, "code": code}
        envelope: dict[str, Any] = {"type": "error", "error": error | ({} if param is None else {"param": param})}
    else:
        fault = _OURS if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _CALLERS
        envelope = {"error": {"message": words, "type": fault, "param": param, "code": code}}
    if attempts:
        envelope["error"]["attempts"] = attempts
    return msgspec.json.encode(envelope)


def error_event(protocol: str, status: int, words: str, code: str, attempts: Attempts = ()) -> bytes:
    """Write the event that ends a stream which can't go on."""
    name = b"event: error\n" if protocol == ANTHROPIC else b""
    return name + b"data: " + error_body(protocol, status, words, code, attempts=attempts) + b"\n\n"


def translated_error(protocol: str, status: int, told: bytes) -> bytes | None:
    """Say a supplier's error in the words of the other protocol; None if it is no error that can be read."""
    try:
        error = msgspec.json.decode(told)["error"]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, KeyError, TypeError):
        return None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return None
    code = error.get("code") or error.get("type")
    param = error.get("param")
    return error_body(
        protocol, status, error["message"], str(code or "upstream_refused"), param if isinstance(param, str) else None
    )
