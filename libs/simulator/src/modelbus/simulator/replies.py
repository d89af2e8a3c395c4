"""A reply is deterministic: words that name who answered and how much was heard; one word is one token."""

import json
import re
from dataclasses import dataclass
from typing import Any

_WORD = re.compile(r"\s*\S+")
_DEEPEST_SCHEMA = 8
_MOST_ITEMS = 16
_TEXT_BY_FORMAT = {
    "date": "2024-11-10",
    "date-time": "2024-11-10T12:00:00Z",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the reply must call."""

    name: str
    schema: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What is said; joined, the pieces are the text, or the arguments of the tool."""

    pieces: tuple[str, ...]
    prompt_tokens: int
    tool: str | None = None
    is_cut: bool = False

    @property
    def text(self) -> str:
        """The whole of what is said."""
        return "".join(self.pieces)

    @property
    def arguments(self) -> Any:
        """The tool's arguments as JSON; empty where the limit cut them short."""
        return {} if self.is_cut else json.loads(self.text)

    @property
    def completion_tokens(self) -> int:
        """One for every word."""
        return len(self.pieces)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a reply may be (the caller's wish) and how long it would be (the simulation's)."""

    most: int | None = None
    length: int | None = None


def count_words(content: object) -> int:
    """Count words in a text, a message, its parts, or lists of these; images and the like count nothing."""
    words = 0
    pending = [content]
    while pending:
        part = pending.pop()
        if isinstance(part, str):
            words += len(part.split())
        elif isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, dict):
            pending.append(part.get("content", part.get("text")))
    return words


def compose_reply(who: str, heard: int, bounds: Bounds, tool: Tool | None) -> Reply:
    """Say who answers and how many words were heard, or call the tool."""
    if tool is not None:
        said = json.dumps(plausible_value(tool.schema, tool.schema))
    else:
        said = f"Hello from {who}: {heard} words heard"
    pieces = _WORD.findall(said)
    if tool is None and bounds.length is not None:
        pieces = pieces[: bounds.length]
        pieces += [f" {position}" for position in range(len(pieces) + 1, bounds.length + 1)]
    is_cut = bounds.most is not None and len(pieces) > bounds.most
    return Reply(tuple(pieces[: bounds.most]), heard, tool.name if tool else None, is_cut)


def plausible_value(schema: Any, root: Any, depth: int = _DEEPEST_SCHEMA) -> Any:
    """Make the least surprising value that a JSON Schema allows; None where it is too deep or makes no sense."""
    if not isinstance(schema, dict) or depth == 0:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return plausible_value(schema[key][0], root, depth - 1)
    if isinstance(schema.get("$ref"), str):
        return plausible_value(_referred(schema["$ref"], root), root, depth - 1)
    return _value_of_type(schema, root, depth)


def _referred(reference: str, root: Any) -> Any:
    target = root
    for step in reference.removeprefix("#/").split("/"):
        target = target.get(step) if isinstance(target, dict) else None
    return target


def _value_of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    properties = schema.get("properties")
    kind = schema.get("type", "object" if isinstance(properties, dict) else "string")
    if isinstance(kind, list):
        kind = next((choice for choice in kind if choice != "null"), "null")
    match kind:
        case "object":
            items = properties.items() if isinstance(properties, dict) else ()
            return {name: plausible_value(inner, root, depth - 1) for name, inner in items}
        case "array":
            least = min(max(_bound(schema, "minItems", 1), 1), _MOST_ITEMS)
            return [plausible_value(schema.get("items", {}), root, depth - 1) for _ in range(least)]
        case "string":
            text = _TEXT_BY_FORMAT.get(str(schema.get("format")), "text")
            return text.ljust(min(_bound(schema, "minLength", 0), 1000), "x")[: _bound(schema, "maxLength", 1000)]
        case "integer" | "number":
            return min(
                max(1, _bound(schema, "minimum", 1), _bound(schema, "exclusiveMinimum", 0) + 1),
                _bound(schema, "maximum", 2**53),
            )
        case "boolean":
            return True
    return None


def _bound(schema: dict[str, Any], name: str, otherwise: int) -> int:
    bound = schema.get(name)
    return int(bound) if isinstance(bound, int | float) and abs(bound) < 2**53 else otherwise
