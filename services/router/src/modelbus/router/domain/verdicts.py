"""What a supplier's status and words mean for the request, the credential and the source."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, StrEnum, auto

REJECTED_S = 300.0
COOLED_S = 20.0
LONGEST_COOLED_S = 3600.0


class Verdict(Enum):
    """What follows from a status."""

    SERVED = auto()
    CALLERS_FAULT = auto()
    """The same request fails everywhere: the caller is told as it is."""
    REJECTED = auto()
    """The credential is not good: another one, and not this one again for a while."""
    COOLED = auto()
    """The credential has had enough for now."""
    FAILED = auto()
    """The source can't serve this now: another one."""


class Cause(StrEnum):
    """Why an attempt failed, in the words by which steps of a chain name what they are for."""

    RATE_LIMIT = "rate_limit"
    TIMEOUT = "timeout"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    UNABLE = "unable"
    """This model can't do what is asked, though others may; no step names it."""
    REQUEST = "request"
    """The request is at fault wherever it goes; no step names it."""
    OTHER = "other"


class Resends(StrEnum):
    """Which requests go to another supplier though the last one may have done, and may bill, the work."""

    TEXT = "text"
    """All but those that make images or speech."""
    ALL = "all"
    NONE = "none"


# No two suppliers say it alike, and most tell no code: these are the words of OpenAI, Azure, Anthropic, Bedrock,
# Gemini, Mistral, Groq, OpenRouter, vLLM and llama.cpp.
_SAID = (
    (
        Cause.CONTEXT_LENGTH,
        re.compile(
            rb"context_length_exceeded|context[_ ]window|(?:maximum|max) (?:context|model|sequence) length"
            rb"|(?:prompt|input|request) (?:is|was) too (?:long|large)|too (?:many tokens|large for model)"
            rb"|exceeds? (?:the )?(?:maximum number of tokens|available context|context|max_model_len)"
            rb"|reduce the length",
            re.IGNORECASE,
        ),
    ),
    (
        Cause.CONTENT_FILTER,
        re.compile(
            rb"content[_ ]filter|content[_ ]policy|content[_ ]violation|content management policy"
            rb"|ResponsibleAIPolicyViolation|flagged (?:by|as|for)|safety (?:system|filter|settings)"
            rb"|moderation|PROHIBITED_CONTENT",
            re.IGNORECASE,
        ),
    ),
    (Cause.UNABLE, re.compile(rb"prefill|(?:must|should) end with a user message", re.IGNORECASE)),
)

_VERDICTS = {
    **dict.fromkeys(range(200, 300), Verdict.SERVED),
    **dict.fromkeys((400, 413, 415, 422), Verdict.CALLERS_FAULT),
    **dict.fromkeys((401, 402, 403), Verdict.REJECTED),
    429: Verdict.COOLED,
}


def judge(status: int) -> Verdict:
    """Judge the status; whatever is not listed is the source's failure, an unknown upstream model (404) included."""
    return _VERDICTS.get(status, Verdict.FAILED)


def cause_of(complaint: bytes) -> Cause:
    """Read what a refusal with a status of the caller's fault complains about."""
    return next((cause for cause, words in _SAID if words.search(complaint)), Cause.REQUEST)


def cooling_s(retry_after: str | None, now: datetime) -> float:
    """Answer how long to leave a credential alone, from the Retry-After header (RFC 9110, section 10.2.3)."""
    if not retry_after:
        return COOLED_S
    try:
        wished = float(retry_after) if retry_after.isdecimal() else _until(retry_after, now)
    except (ValueError, OverflowError):
        return COOLED_S
    return min(max(wished, 0.0), LONGEST_COOLED_S)


def _until(date: str, now: datetime) -> float:
    at = parsedate_to_datetime(date)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
