"""Reading what a supplier sent: it can be read, or the attempt has failed."""

from collections.abc import Callable
from typing import Any

import msgspec

from modelbus.router.domain.errors import MalformedAnswerError

_read_any = msgspec.json.Decoder(dict[str, Any]).decode


def read[T](decode: Callable[[bytes], T], sent: bytes, otherwise: str) -> T:
    """Answer what the decoder makes of it.

    Raises:
        MalformedAnswerError: it is no JSON, not UTF-8, too deep, or of another shape; it says what is in `otherwise`.
    """
    try:
        return decode(sent)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedAnswerError(otherwise, str(error)) from error


def read_fields(sent: bytes, otherwise: str) -> dict[str, Any]:
    """Answer the fields of a JSON object.

    Raises:
        MalformedAnswerError: it is none.
    """
    return read(_read_any, sent, otherwise)


def written(content: Any) -> bytes:
    """Write what was read from a supplier in other words.

    Raises:
        MalformedAnswerError: it was so deep that, in what is around it now, it is too deep.
    """
    try:
        return msgspec.json.encode(content)
    except RecursionError as error:
        raise MalformedAnswerError("answered what is nested too deep") from error
