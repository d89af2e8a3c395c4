"""The AsyncAPI 3 document of the bus, generated from the classes of the events: what is told, where, and by whom."""

from typing import Any

from modelbus.contracts.bus import STREAMS
from modelbus.contracts.event import Event
from modelbus.contracts.schemas import EVENTS, schema_of

ABOUT = """\
Everything that happens to the catalog, told on NATS as CloudEvents 1.0 in binary mode. The subject is the type,
literally. Delivery from a stream is at least once. Within a major version only optional fields are added: ignore what
you do not know, and treat an unknown value of an enumeration as "other"."""
HEADERS: dict[str, Any] = {
    "type": "object",
    "required": ["ce-specversion", "ce-id", "ce-type", "ce-source", "ce-time"],
    "properties": {
        "ce-specversion": {"type": "string", "const": "1.0"},
        "ce-id": {"type": "string", "format": "uuid", "description": "The same in every delivery."},
        "ce-type": {"type": "string"},
        "ce-source": {"type": "string", "description": "/modelbus/ and the service that tells."},
        "ce-subject": {"type": "string", "description": "The thing that it is about."},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-dataschema": {"type": "string", "description": "The JSON Schema of the body, with its version."},
        "ce-revision": {"type": "string", "description": "Of the catalog; grows by one with each of its events."},
        "ce-epoch": {"type": "string", "format": "uuid", "description": "Revisions of two epochs can't be compared."},
        "ce-correlationid": {"type": "string", "description": "The request that caused it."},
        "traceparent": {"type": "string", "description": "https://www.w3.org/TR/trace-context/"},
    },
}


def asyncapi(version: str) -> dict[str, Any]:
    """Generate the document; `version` is that of Modelbus."""
    schemas: dict[str, Any] = {}
    messages = {event.type: _message(event, schemas) for event in EVENTS}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Modelbus",
            "version": version,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "bus": {
                "host": "localhost:4222",
                "protocol": "nats",
                "description": "The NATS of your installation.",
                "security": [{"$ref": "#/components/securitySchemes/user"}],
            }
        },
        "channels": {event.type: _channel(event) for event in EVENTS},
        "operations": {f"{teller}-tells-{event.type}": _operation(event, teller) for event, teller in _told()},
        "components": {
            "messages": messages,
            "schemas": {**{name: schemas[name] for name in sorted(schemas)}, "headers": HEADERS},
            "securitySchemes": {"user": {"type": "userPassword", "description": "A user with what it needs, no more."}},
        },
    }


def _told() -> list[tuple[type[Event], str]]:
    streamed = [(event, teller) for stream in STREAMS for event in stream.events for teller in stream.tellers]
    known = {event for event, _teller in streamed}
    return streamed + [(event, _teller_of(event)) for event in EVENTS if event not in known]


def _teller_of(event: type[Event]) -> str:
    """Answer who tells what is never stored: its module is named after the noun, catalog or limits of the router."""
    return "catalog" if event.__module__.endswith(".catalog") else "router"


def _channel(event: type[Event]) -> dict[str, Any]:
    stream = next((stream.name for stream in STREAMS if event in stream.events), None)
    kept = f"Kept in the stream {stream}." if stream else "On core NATS, never stored."
    return {
        "address": event.type,
        "description": kept,
        "messages": {event.type: {"$ref": f"#/components/messages/{event.type}"}},
    }


def _operation(event: type[Event], teller: str) -> dict[str, Any]:
    return {
        "action": "send",
        "summary": f"The {teller} tells {event.type}.",
        "tags": [{"name": teller}],
        "channel": {"$ref": f"#/channels/{event.type}"},
        "messages": [{"$ref": f"#/channels/{event.type}/messages/{event.type}"}],
    }


def _message(event: type[Event], schemas: dict[str, Any]) -> dict[str, Any]:
    body = schema_of(event)
    body.pop("$schema")
    for name, schema in body.pop("$defs", {}).items():
        schemas[f"{event.type}.{name}"] = _hoisted(schema, event.type)
    schemas[event.type] = _hoisted(body, event.type)
    return {
        "name": event.type,
        "title": event.__name__,
        "summary": (event.__doc__ or event.type).partition("\n")[0],
        "headers": {"$ref": "#/components/schemas/headers"},
        "payload": {"$ref": f"#/components/schemas/{event.type}"},
    }


def _hoisted(schema: Any, owner: str) -> Any:
    """Point to definitions where the document has them, under the name of the event that they belong to."""
    if isinstance(schema, dict):
        return {
            key: value.replace("#/$defs/", f"#/components/schemas/{owner}.")
            if key == "$ref"
            else _hoisted(value, owner)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_hoisted(each, owner) for each in schema]
    return schema
