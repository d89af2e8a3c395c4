"""Where redirects may lead: a few times elsewhere, never from HTTPS to where anybody could change what comes."""

import httpx

from modelbus.sync.domain.errors import UnusableAnswerError
from modelbus.sync.domain.names import readable

MOST_REDIRECTS = 3


def target_of(asked: httpx.URL, answer: httpx.Response) -> httpx.URL:
    """Answer where the redirect leads that came from there.

    Raises:
        UnusableAnswerError: nowhere that we would go.
    """
    target = asked.join(answer.headers["location"])
    if target.scheme not in {"http", "https"} or (asked.scheme, target.scheme) == ("https", "http"):
        reason = f"answered {answer.status_code}, a redirect to {place_of(target)}, which is not followed"
        raise UnusableAnswerError(f"{reason}: it is not HTTPS" if target.scheme == "http" else reason)
    return target


def too_many(last: httpx.URL) -> UnusableAnswerError:
    """Say that there was no end to them."""
    return UnusableAnswerError(f"answered with more than {MOST_REDIRECTS} redirects, the last to {place_of(last)}")


def place_of(url: httpx.URL) -> str:
    """Answer the URL without what may be a secret."""
    return readable(url.copy_with(userinfo=b"", query=None, fragment=None), 200)
