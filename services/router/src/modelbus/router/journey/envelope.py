"""OpenAI's error envelope: how callers are told of refusals, and of streams that break off.

https://platform.openai.com/docs/guides/error-codes
"""

import msgspec

CALLERS = "invalid_request_error"
OURS = "server_error"


def error_body(words: str, *, fault: str, code: str, param: str | None = None) -> bytes:
    """Write `{"error": {"message", "type", "param", "code"}}`."""
    return msgspec.json.encode({"error": {"message": words, "type": fault, "param": param, "code": code}})


def error_event(words: str, code: str) -> bytes:
    """Write the event that ends a stream which can't go on."""
    return b"data: " + error_body(words, fault=OURS, code=code) + b"\n\n"
