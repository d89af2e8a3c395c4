"""A file at the supplier's `listing_url`, JSON or CSV, that an administrator writes for suppliers that list nothing.

One entry, or line, a model. Every field but `id` may be left out; prices need `price_unit` to be believed at once.
"""

import asyncio
import csv
import io
from typing import Any

from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import HeldPrices, ListedModel
from modelbus.sync.clients.answers import parse
from modelbus.sync.clients.costs import read_cost, read_cost_without_unit
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, life_of, read_entries
from modelbus.sync.domain.errors import NotOfferedError, UnusableAnswerError
from modelbus.sync.domain.modalities import arrow, read_modalities, type_by, words_of
from modelbus.sync.domain.names import display_name, readable
from modelbus.sync.domain.prices import Unit

UNITS = {"per_million": Unit.PER_MILLION, "per_thousand": Unit.PER_THOUSAND, "per_token": Unit.PER_TOKEN}
TYPES = ("language", "embedding", "image", "audio", "video", "rerank", "moderation", "multimodal")
_PRICES = ("input", "output", "cached_input", "cache_write", "reasoning", "request", "image")
PRICE_FIELDS = {price: (f"{price}_price",) for price in _PRICES}
_COUNTS = ("context_window", "max_output_tokens")
_LONGEST_COUNT = 19
_LONGEST_CELL = 131_072
_BOM = "\ufeff"


async def list_models(endpoint: Endpoint) -> Fetched:
    """Read the file."""
    kind, body = await endpoint.get_file()
    return await asyncio.to_thread(read_file, kind, body)


def read_file(kind: str, body: bytes) -> Fetched:
    """Read the file by its type; where that is neither JSON nor CSV, by how it begins."""
    is_json = "json" in kind.lower() or ("csv" not in kind.lower() and body.lstrip()[:1] in {b"[", b"{"})
    return read_listing(parse(body) if is_json else _read_lines(body))


def read_listing(document: Any) -> Fetched:
    """Read `{"models": [...]}` or the bare list."""
    return read_entries(entries_of(document, "models"), "id", _read_entry)


def _read_lines(body: bytes) -> list[Any]:
    """Answer the lines as entries by the names in the first one; what has other lengths is no entry."""
    csv.field_size_limit(_LONGEST_CELL)
    try:
        header, *lines = csv.reader(io.StringIO(body.decode().removeprefix(_BOM), newline=""), strict=True)
    except UnicodeDecodeError as error:
        raise UnusableAnswerError("the file is not UTF-8") from error
    except csv.Error as error:
        raise UnusableAnswerError(f"the file is not valid CSV: {readable(error, 120)}") from error
    except ValueError as error:
        raise UnusableAnswerError("the file is empty") from error
    names = [name.strip() for name in header]
    if "id" not in names:
        raise UnusableAnswerError(f"the first line names no column 'id' but {readable(', '.join(names), 200)}")
    return [_entry_of(names, line) if len(line) == len(names) else line for line in lines if line]


def _entry_of(names: list[str], line: list[str]) -> Entry:
    """Make the line an entry as JSON would have it: an empty field says nothing, counts are numbers."""
    entry: Entry = {name: text for name, text in zip(names, line, strict=True) if text.strip()}
    for name in _COUNTS:
        if (text := entry.get(name, "").strip()) and text.isascii() and text.isdigit() and len(text) <= _LONGEST_COUNT:
            entry[name] = int(text)
    return entry


def _read_entry(name: str, entry: Entry) -> ListedModel:
    taken, given = read_modalities(entry.get("input_modalities")), read_modalities(entry.get("output_modalities"))
    cost, held = _cost_of(entry)
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("display_name")),
        model_type=_type_of(entry, taken, given),
        context_window=count_of(entry, "context_window"),
        max_output_tokens=count_of(entry, "max_output_tokens"),
        cost=cost,
        held=held,
        modalities=arrow(taken, given),
        capabilities=sorted({*words_of(entry["capabilities"])}) if "capabilities" in entry else None,
        life=life_of(entry, deprecated=["deprecated_at"], retires=["retires_at"], replacement=["replacement"]),
    )


def _cost_of(entry: Entry) -> tuple[CostPrices, HeldPrices | None]:
    told = entry.get("price_unit")
    if told is None:
        return read_cost_without_unit(entry, PRICE_FIELDS)
    if not isinstance(told, str) or told.strip() not in UNITS:
        raise NotOfferedError(f"its price_unit is {readable(told, 40)}, and none of {', '.join(UNITS)}")
    return read_cost(entry, PRICE_FIELDS, UNITS[told.strip()]), None


def _type_of(entry: Entry, taken: list[str], given: list[str]) -> str | None:
    told = entry.get("model_type")
    if told is None:
        return type_by(taken, given)
    if told not in TYPES:
        raise NotOfferedError(f"its model_type is {readable(told, 40)}, and none of {', '.join(TYPES)}")
    return str(told)
