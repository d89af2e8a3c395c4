"""Who calls: the access key is looked up by its hash, so nothing secret is compared and nothing is kept in clear."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import KeyRefusedError


def admit(table: Table, headers: Mapping[bytes, bytes]) -> AccessKey:
    """Answer whose key the request shows, in `Authorization: Bearer` or in `x-api-key`.

    Raises:
        KeyRefusedError: it shows none that is good now.
    """
    shown = _shown(headers)
    if not shown:
        raise KeyRefusedError("you must provide an access key, as 'Authorization: Bearer <key>' or 'x-api-key: <key>'")
    for key in table.access_keys.found("hash", sha256(shown).hexdigest()):
        if not key.is_active:
            raise KeyRefusedError("this access key is disabled")
        if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
            raise KeyRefusedError("this access key has expired")
        return key
    raise KeyRefusedError("this access key is not known")


def _shown(headers: Mapping[bytes, bytes]) -> bytes:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token:
        return token.strip()
    return headers.get(b"x-api-key", b"")
