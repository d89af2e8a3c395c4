"""Documents are what versions keep of things; these rules say what a document refers to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

REFERS = {
    "model_id": "model",
    "model_ids": "model",
    "default_model_id": "model",
    "judge_model_id": "model",
    "replacement_model_id": "model",
    "source_id": "source",
    "supplier_id": "supplier",
    "strategy_id": "strategy",
    "scope_ids": "scope",
    "consumer_id": "consumer",
    "capabilities": "capability",
    "category_ids": "category",
    "parent_id": "category",
    "tag_ids": "tag",
    "untagged_ids": "tag",
}
"""Which kind of thing each field names: by one id, by several, or by the keys of a map."""
_NESTED = ("steps", "target", "arms", "shadows", "levels", "classifier")
"""Fields that hold references further down; others may hold anything, also what only looks like one."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One place of a document that names another thing."""

    field: str
    """Path in the document, for instance `steps.0.target.model_id`."""
    kind: str
    id: UUID


def references_of(document: Mapping[str, Any], within: str = "") -> Iterator[Reference]:
    """Answer everything that the document refers to."""
    for name, value in document.items():
        path = f"{within}{name}"
        if name in REFERS:
            ids = [value] if isinstance(value, str) else list(value or ())
            several = not isinstance(value, str)
            for place, each in enumerate(ids):
                yield Reference(f"{path}.{place}" if several else path, REFERS[name], UUID(each))
        elif name in _NESTED and value is not None:
            parts = enumerate(value) if isinstance(value, list) else [(None, value)]
            for number, part in parts:
                yield from references_of(part, f"{path}." if number is None else f"{path}.{number}.")
