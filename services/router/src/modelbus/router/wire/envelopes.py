"""The error envelopes of both protocols: how callers are told of refusals, and of streams that break off.

https://platform.openai.com/docs/guides/error-codes, https://docs.claude.com/en/api/errors
"""

from http import HTTPStatus
from typing import Any

import msgspec

OPENAI, ANTHROPIC = "openai", "anthropic"
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


def error_body(protocol: str, status: int, words: str, code: str, param: str | None = None) -> bytes:
    """Write an error as the protocol has it; Anthropic's gains our code and `param`, for which it has no field."""
    if protocol == ANTHROPIC:
        return _anthropic(status, words, code, param)
    fault = _OURS if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _CALLERS
    return msgspec.json.encode({"error": {"message": words, "type": fault, "param": param, "code": code}})


def error_event(protocol: str, status: int, words: str, code: str) -> bytes:
    """Write the event that ends a stream which can't go on."""
    name = b"event: error\n" if protocol == ANTHROPIC else b""
    return name + b"data: " + error_body(protocol, status, words, code) + b"\n\n"


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


def _anthropic(status: int, words: str, code: str, param: str | None) -> bytes:
    error: dict[str, Any] = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": words, "code": code}
    if param is not None:
        error["param"] = param
    return msgspec.json.encode({"type": "error", "error": error})
