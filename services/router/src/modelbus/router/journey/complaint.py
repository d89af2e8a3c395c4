"""What a supplier complains about when it refuses: the request, which the caller is told, or anything else."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus

import msgspec
from msgspec import Raw

from modelbus.router.domain.errors import (
    AttemptFailedError,
    CredentialCooledError,
    CredentialRefusedError,
    CredentialTooSmallError,
    RefusedError,
)
from modelbus.router.domain.verdicts import REJECTED_S, Cause, Verdict, cause_of, cooling_s
from modelbus.router.upstream.client import Answer
from modelbus.router.wire.complaints import words_of
from modelbus.router.wire.envelopes import ANTHROPIC, error_body, translated_error

_LONGEST = 1024 * 1024
_WAIT_S = 5.0
# Anthropic answers 400 to an account that is not paid for; only the words tell.
_OUT_OF_CREDIT = b"credit balance is too low"
_WORDS_TELL = frozenset((HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS))
# OpenAI and Groq answer 429 to a request that alone is more than a key may use in a minute, and 403 where a key may not
# use one model: that must not take the key from everybody.
_TOO_LARGE = re.compile(rb"request (?:is )?too large", re.IGNORECASE)
_NOT_THIS_MODEL = re.compile(
    rb"model_not_found|model_permission|access to (?:the |this )?model|(?:use|access) (?:the |this )model",
    re.IGNORECASE,
)


class _Error(msgspec.Struct, gc=False):
    metadata: dict[str, Raw] | None = None


class _Envelope(msgspec.Struct, gc=False):
    error: Raw


class _Moderated(msgspec.Struct, gc=False):
    error: _Error


_envelope = msgspec.json.Decoder(_Envelope).decode
_moderated = msgspec.json.Decoder(_Moderated).decode


async def complaint_of(answer: Answer, verdict: Verdict, spoken: str, heard: str) -> tuple[bytes, Cause]:
    """Answer what the caller, to whom one protocol is spoken, is told of a refusal that is its own fault, and which.

    What the supplier says in the same protocol goes on as it is.

    Raises:
        AttemptFailedError: it is not the caller's, so another attempt may serve.
    """
    if verdict is Verdict.CALLERS_FAULT:
        told = await answer.read(_LONGEST)
        if heard == ANTHROPIC and _OUT_OF_CREDIT in told:
            raise CredentialRefusedError(f"answered {answer.status}", REJECTED_S)
        return _in_words(spoken, heard, answer.status, told), cause_of(told)
    told = b""
    if answer.status in _WORDS_TELL:
        with suppress(AttemptFailedError, TimeoutError):
            async with asyncio.timeout(_WAIT_S):
                told = await answer.read(_LONGEST)
    if answer.status == HTTPStatus.FORBIDDEN and _is_moderation(told):
        return _in_words(spoken, heard, answer.status, told), Cause.CONTENT_FILTER
    raise _refused(answer, verdict, told)


def _in_words(spoken: str, heard: str, status: int, told: bytes) -> bytes:
    if spoken != heard:
        return translated_error(spoken, status, told) or _own_words(spoken, status, told)
    return told if _is_envelope(told) else _own_words(spoken, status, told)


def _is_envelope(body: bytes) -> bool:
    try:
        body.decode()
        return bytes(_envelope(body).error) != b"null"
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False


def _is_moderation(body: bytes) -> bool:
    """Tell whether the prompt was flagged (https://openrouter.ai/docs/api-reference/errors): no matter of the key."""
    try:
        metadata = _moderated(body).error.metadata or {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
    return not metadata.keys().isdisjoint(("reasons", "flagged_input"))


def _own_words(protocol: str, status: int, told: bytes) -> bytes:
    words = f"the supplier refused the request with status {status}"
    if said := words_of(told):
        words = f"{words}: {said}"
    return error_body(protocol, status, words, "upstream_refused")


def _refused(answer: Answer, verdict: Verdict, told: bytes) -> RefusedError:
    what = f"answered {answer.status}"
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS and _TOO_LARGE.search(told):
        return CredentialTooSmallError(f"{what}, the request is larger than a credential's limit")
    if answer.status == HTTPStatus.FORBIDDEN and _NOT_THIS_MODEL.search(told):
        return RefusedError(what)
    if verdict is Verdict.REJECTED:
        return CredentialRefusedError(what, REJECTED_S)
    if verdict is Verdict.COOLED:
        return CredentialCooledError(what, cooling_s(answer.headers.get("retry-after"), datetime.now(UTC)))
    return RefusedError(what)
