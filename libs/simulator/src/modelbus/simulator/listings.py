"""A listing is what a provider says it serves; some are recorded from a real provider."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Self

RECORDINGS = ("2024-11-10", "2025-04-23")


@dataclass(frozen=True, slots=True)
class Listing:
    """Models as a provider lists them; items may be anything, so that a reader can be shown broken ones."""

    name: str
    items: tuple[Any, ...]
    ids: frozenset[str]
    recorded: bytes | None = None

    @classmethod
    def of(cls, name: str, items: Iterable[Any], recorded: bytes | None = None) -> Self:
        """Make a listing and find the ids that it makes known."""
        known = tuple(items)
        ids = (item.get("id") for item in known if isinstance(item, dict))
        return cls(name, known, frozenset(id_ for id_ in ids if isinstance(id_, str)), recorded)


@cache
def recorded_listing(date: str) -> Listing:
    """OpenRouter's listing of one of the RECORDINGS; kept, because it takes milliseconds to read."""
    file = resources.files("modelbus.simulator") / "recordings" / f"openrouter_models_{date}.json"
    raw = file.read_bytes()
    return Listing.of(date, json.loads(raw)["data"], recorded=raw)
