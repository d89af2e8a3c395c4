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
    shown = shown_by(headers)
    if not shown:
        raise KeyRefusedError("you must provide an access key, as 'Authorization: Bearer <key>' or 'x-api-key: <key>'")
    digest = sha256(shown).hexdigest()
    for key in table.access_keys.found("hash", digest):
        return _admit(table, key, digest)
    raise KeyRefusedError("this access key is not known")


def _admit(table: Table, key: AccessKey, digest: str) -> AccessKey:
    if not key.is_active:
        raise KeyRefusedError("this access key is disabled")
    now = datetime.now(UTC)
    if key.expires_at is not None and key.expires_at <= now:
        raise KeyRefusedError("this access key has expired")
    # The clock decides here: the catalog tells that a grace is over only when it can.
    if digest != key.key_hash and (key.previous_expires_at is None or key.previous_expires_at <= now):
        raise KeyRefusedError("this access key was rotated; use the one that took its place")
    if key.consumer_id is None:
        return key
    consumer = table.consumers.get(key.consumer_id)
    if consumer is None or not consumer.is_active:
        raise KeyRefusedError("whoever holds this access key is disabled")
    return key.within(consumer)


def shown_by(headers: Mapping[bytes, bytes]) -> bytes:
    """Answer what the caller shows, be it a key or a token; nothing where it shows nothing."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and token:
        return token.strip()
    return headers.get(b"x-api-key", b"")
