"""A question is a request whose answer may be given again: in a scope that wants it, and leaving nothing to chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.routing import Scope
from modelbus.router.cache.table import Table
from modelbus.router.journey.ask import Ask
from modelbus.router.naming.meanings import Meaning
from modelbus.router.naming.resolving import resolve, scope_of
from modelbus.router.wire.endpoints import ENDPOINTS, Endpoint

_PATHS = (
    ("/v1/chat/completions", True),
    ("/v1/completions", True),
    ("/v1/messages", True),
    ("/v1/messages/count_tokens", False),
    ("/v1/embeddings", False),
    ("/v1/moderations", False),
    ("/v1/rerank", False),
)
"""Paths whose answers may be given again, and whether chance has a part in them unless the temperature is 0."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, and what the catalog says that it means."""

    key: bytes
    scope: Scope
    meaning: Meaning
    holds_s: int


def question_of(table: Table, caller: AccessKey, ask: Ask) -> Question | None:
    """Answer what is asked, if an answer that was given before will do.

    Callers who may use the same models share answers. The order of fields and the blanks between them do not matter.

    Raises:
        Refusal: the caller may not name the scope, or nothing bears the name that it asks for.
    """
    if ask.scope is None or ask.is_stream:
        return None
    scope = scope_of(table, ask.scope, caller)
    path, is_by_chance = _path_of(ask.endpoint)
    if scope.response_cache_s is None or path is None:
        return None
    fields = {name: msgspec.json.decode(raw) for name, raw in ask.fields.items()}
    if is_by_chance and not _leaves_nothing_to_chance(fields):
        return None
    allowed = (_told(caller.model_ids), _told(caller.tiers), _told(caller.scope_ids))
    asked = (path, scope.id, allowed, dict(ask.versions), fields)
    key = sha256(msgspec.json.encode(asked, order="sorted")).digest()
    meaning = resolve(table, ask.model, scope, ask.endpoint.types)
    # What one arm of a split answered would count for another.
    return None if meaning.split is not None else Question(key, scope, meaning, scope.response_cache_s)


def _path_of(asked: Endpoint) -> tuple[str | None, bool]:
    return next(((path, by_chance) for path, by_chance in _PATHS if ENDPOINTS[path] is asked), (None, True))


def _leaves_nothing_to_chance(fields: Mapping[str, Any]) -> bool:
    temperature, count = fields.get("temperature"), fields.get("n")
    return type(temperature) in {int, float} and temperature == 0 and (count is None or count == 1)


def _told(allowed: frozenset[UUID] | frozenset[str] | None) -> list[str] | None:
    return None if allowed is None else sorted(map(str, allowed))
