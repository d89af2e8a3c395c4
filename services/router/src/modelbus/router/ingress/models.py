"""The list of what a key can call now, in the shape of the protocol that the caller speaks."""

from datetime import UTC, datetime

import msgspec

from modelbus.router.balance.serving import demand_served, is_served
from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.journey.reply import JSON, Reply
from modelbus.router.naming.meanings import Meaning
from modelbus.router.naming.resolving import all_named, named
from modelbus.router.wire.envelopes import ANTHROPIC


class _Listed(msgspec.Struct, gc=False):
    id: str
    created: int
    object: str = "model"
    owned_by: str = "modelbus"


class _AnthropicListed(msgspec.Struct, gc=False):
    id: str
    display_name: str
    created_at: datetime
    type: str = "model"


class ModelList:
    """Writes the list; what keys without restriction see is written once per table and protocol."""

    def __init__(self) -> None:
        self._written_for: Table | None = None
        self._written: dict[str, bytes] = {}

    def of(self, table: Table, caller: AccessKey, protocol: str) -> Reply:
        """List the names that the key can call now, in their order and on one page."""
        if caller.is_restricted:
            return _json(_write(table, caller, protocol))
        if self._written_for is not table:
            self._written, self._written_for = {}, table
        if protocol not in self._written:
            self._written[protocol] = _write(table, caller, protocol)
        return _json(self._written[protocol])


def show(table: Table, caller: AccessKey, name: str, protocol: str) -> Reply:
    """Show one of them.

    Raises:
        Refusal: a call of it would be refused too.
    """
    meaning = named(table, name)
    demand_served(table, meaning, caller)
    return _json(msgspec.json.encode(_listed(meaning, protocol)))


def _write(table: Table, caller: AccessKey, protocol: str) -> bytes:
    served = (meaning for meaning in all_named(table) if is_served(table, meaning, caller))
    listed = [_listed(each, protocol) for each in sorted(served, key=lambda each: each.name)]
    if protocol == ANTHROPIC:
        ends = (listed[0].id, listed[-1].id) if listed else (None, None)
        return msgspec.json.encode({"data": listed, "has_more": False, "first_id": ends[0], "last_id": ends[1]})
    return msgspec.json.encode({"object": "list", "data": listed})


def _listed(meaning: Meaning, protocol: str) -> _Listed | _AnthropicListed:
    # The id is a UUIDv7: its first 48 bits are the Unix milliseconds of its making.
    created = (meaning.id.int >> 80) // 1000
    if protocol == ANTHROPIC:
        return _AnthropicListed(meaning.name, meaning.name, datetime.fromtimestamp(created, UTC))
    return _Listed(meaning.name, created)


def _json(body: bytes) -> Reply:
    return Reply(200, body, [(b"content-type", JSON)])
