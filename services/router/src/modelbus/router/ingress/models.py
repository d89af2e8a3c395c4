"""The list of what a key can call now, in OpenAI's shape."""

from collections.abc import Iterator

import msgspec

from modelbus.router.balance.choosing import find, is_served, serving
from modelbus.router.cache.records import AccessKey, Chain, Model
from modelbus.router.cache.table import Table
from modelbus.router.journey.reply import JSON, Reply


class _Listed(msgspec.Struct, gc=False):
    id: str
    created: int
    object: str = "model"
    owned_by: str = "modelbus"


class ModelList:
    """Writes the list; what keys without restriction see is written once per table."""

    def __init__(self) -> None:
        self._written_for: Table | None = None
        self._written = b""

    def of(self, table: Table, caller: AccessKey) -> Reply:
        """List the models and chains that the key can call now, by name."""
        if caller.model_ids is not None:
            return _json(_write(table, caller))
        if self._written_for is not table:
            self._written, self._written_for = _write(table, caller), table
        return _json(self._written)


def show(table: Table, caller: AccessKey, name: str) -> Reply:
    """Show one of them.

    Raises:
        Refusal: a call of it would be refused too.
    """
    found = find(table, name)
    serving(table, name, caller)
    return _json(msgspec.json.encode(_listed(found)))


def _write(table: Table, caller: AccessKey) -> bytes:
    listed = sorted((_listed(each) for each in _served(table, caller)), key=lambda each: each.id)
    return msgspec.json.encode({"object": "list", "data": listed})


def _served(table: Table, caller: AccessKey) -> Iterator[Model | Chain]:
    for model in table.models.all():
        if is_served(table, model, caller):
            yield model
    for chain in table.chains.all():
        # A model of the same name comes first when it is called, so the chain is not what the name means.
        if chain.is_active and not table.models.found("name", chain.name) and is_served(table, chain, caller):
            yield chain


def _listed(found: Model | Chain) -> _Listed:
    # The id is a UUIDv7: its first 48 bits are the Unix milliseconds of its making.
    return _Listed(found.name, (found.id.int >> 80) // 1000)


def _json(body: bytes) -> Reply:
    return Reply(200, body, [(b"content-type", JSON)])
