"""JSON Schemas of the events, generated from their classes, and the rule by which they may change."""

from typing import Any

from modelbus.contracts.bus import STREAMS
from modelbus.contracts.catalog import CatalogHeartbeat
from modelbus.contracts.event import Event
from modelbus.contracts.limits import LimitsDrawn

EVENTS: tuple[type[Event], ...] = (
    *(event for stream in STREAMS for event in stream.events),
    CatalogHeartbeat,
    LimitsDrawn,
)
"""Every type of event that is told."""


def schema_path(event: type[Event]) -> str:
    """Answer where the schema is published, below the folder of schemas; as in `ce-dataschema`."""
    return f"{event.type}/{event.version}.json"


def schema_of(event: type[Event]) -> dict[str, Any]:
    """Generate the schema of what is sent; hearers must ignore fields that it does not name."""
    generated = event.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": event.type, **_open(generated)}


def breaking_differences(old: dict[str, Any], new: dict[str, Any], path: str = "$") -> list[str]:
    """Name what a hearer of the old schema could not bear in the new: within a major only optional fields come."""
    found: list[str] = []
    for name, was in old.get("properties", {}).items():
        now = new.get("properties", {}).get(name)
        if now is None:
            found.append(f"{path}.{name} is gone")
        else:
            found += breaking_differences(was, now, f"{path}.{name}")
    found += [f"{path}.{name} is no longer always there" for name in _lost(old, new, "required")]
    found += [
        f"{path}: {word} changed" for word in ("type", "format", "anyOf", "$ref", "items") if _differs(old, new, word)
    ]
    for name, was in old.get("$defs", {}).items():
        found += breaking_differences(was, new.get("$defs", {}).get(name, {}), f"{path}/{name}")
    return found


def _lost(old: dict[str, Any], new: dict[str, Any], word: str) -> list[str]:
    return sorted(set(old.get(word, [])) - set(new.get(word, [])))


def _differs(old: dict[str, Any], new: dict[str, Any], word: str) -> bool:
    return bool(old.get(word) != new.get(word))


def _open(schema: Any) -> Any:
    """Drop `additionalProperties: false`: that is the teller's promise, not the hearer's condition."""
    if isinstance(schema, dict):
        return {
            key: _open(value) for key, value in schema.items() if key != "additionalProperties" or value is not False
        }
    if isinstance(schema, list):
        return [_open(each) for each in schema]
    return schema
