"""Which version of Anthropic's protocol a caller speaks: the only headers of callers that go on to suppliers.

https://docs.claude.com/en/api/versioning, https://docs.claude.com/en/api/beta-headers. Without them a body that uses a
beta is refused, so a body that passes untouched needs them.
"""

import re
from collections.abc import Mapping

USUAL_VERSION = "2023-06-01"
_NAMES = ("anthropic-version", "anthropic-beta")
_FIT = re.compile(rb"[A-Za-z0-9][A-Za-z0-9 ,._-]{0,1023}")


def versions_of(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Answer those of the two headers that are there and fit to go on."""
    return {
        name: value.decode()
        for name in _NAMES
        if (value := headers.get(name.encode())) is not None and _FIT.fullmatch(value)
    }
