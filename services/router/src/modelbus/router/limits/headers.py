"""What is left of limits, as headers of answers, in the words of the protocol that the caller speaks.

https://platform.openai.com/docs/guides/rate-limits, https://docs.claude.com/en/api/rate-limits
"""

from datetime import UTC, datetime, timedelta
from time import monotonic

from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.buckets import Bucket
from modelbus.router.wire.envelopes import ANTHROPIC

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000


def limit_headers(allowance: Allowance, protocol: str) -> list[tuple[bytes, bytes]]:
    """Tell limit, rest, and when the bucket will be full, of the tightest limit of requests and of tokens."""
    write = _anthropic if protocol == ANTHROPIC else _openai
    headers: list[tuple[bytes, bytes]] = []
    for what, bucket in zip((b"requests", b"tokens"), allowance.tightest(), strict=True):
        if bucket is not None:
            headers += write(what, bucket, monotonic())
    return headers


def _openai(what: bytes, bucket: Bucket, now: float) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % bucket.limit),
        (b"x-ratelimit-remaining-" + what, _left(bucket, now)),
        (b"x-ratelimit-reset-" + what, duration(bucket.full_in_s(now)).encode()),
    ]


def _anthropic(what: bytes, bucket: Bucket, now: float) -> list[tuple[bytes, bytes]]:
    full_at = datetime.now(UTC) + timedelta(seconds=bucket.full_in_s(now))
    return [
        (b"anthropic-ratelimit-" + what + b"-limit", b"%d" % bucket.limit),
        (b"anthropic-ratelimit-" + what + b"-remaining", _left(bucket, now)),
        (b"anthropic-ratelimit-" + what + b"-reset", full_at.strftime("%Y-%m-%dT%H:%M:%SZ").encode()),
    ]


def _left(bucket: Bucket, now: float) -> bytes:
    return b"%d" % max(int(bucket.left(now)), 0)


def duration(seconds: float) -> str:
    """Write a time as OpenAI does: `17ms`, `1.2s`, `6m0s`, `1h0m0s`."""
    ms = round(seconds * 1000)
    if ms < 1000:  # noqa: PLR2004 - milliseconds of a second
        return f"{ms}ms"
    rest = f"{ms % _MINUTE_MS / 1000:g}s"
    if ms < _MINUTE_MS:
        return rest
    minutes = f"{ms % _HOUR_MS // _MINUTE_MS}m{rest}"
    return minutes if ms < _HOUR_MS else f"{ms // _HOUR_MS}h{minutes}"
