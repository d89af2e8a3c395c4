"""Files to import: JSON or CSV, read whole before anything is done, so that a broken file does nothing."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelbus.catalog.domain.errors import FileMalformedError
from modelbus.catalog.domain.older_shapes import Shape

CSV_JSON_COLUMNS = ("models", "levels", "capabilities", "features")
"""Columns whose cells may hold JSON, as databases export it."""
KNOWN_COLUMNS = {
    Shape.MODEL_CONFIGS: ("model", "model_id"),
    Shape.AGGREGATOR_MODELS: ("model", "model_id"),
    Shape.FALLBACK_CHAINS: ("models",),
    Shape.COMPLEXITY_ROUTING: ("models", "levels"),
}
"""Columns of which a table of that shape has one at least."""
LONGEST_CELL = 1_000_000
MOST_ENTRIES = 50_000


@dataclass(frozen=True, slots=True)
class RawEntry:
    """One entry as the file has it."""

    shape: Shape
    place: str
    """Readable: `fallback_chains.3`, `line 7`."""
    told: object


def read_json(body: bytes, shape: Shape | None) -> list[RawEntry]:
    """Read an array of entries of one shape, or an object with shapes as keys and arrays as values.

    Raises:
        FileMalformedError: it is not UTF-8, not JSON, cut off, or has another form.
    """
    try:
        told = json.loads(_decoded(body))
    except json.JSONDecodeError as error:
        raise FileMalformedError(f"is not JSON at line {error.lineno}, column {error.colno}: {error.msg}") from error
    except RecursionError as error:
        raise FileMalformedError("is nested too deeply") from error
    if isinstance(told, list):
        if shape is None:
            raise FileMalformedError("is an array: say by ?shape= what its entries are")
        told = {shape: told}
    if not isinstance(told, dict):
        raise FileMalformedError("must be an array, or an object with shapes as keys")
    return _bounded(list(_entries(told)))


def read_csv(body: bytes, shape: Shape | None) -> list[RawEntry]:
    """Read a table with a header line; cells of some columns may hold JSON.

    Raises:
        FileMalformedError: it is not UTF-8, has no such header, is cut off, or a line has too few or too many cells.
    """
    if shape is None:
        raise FileMalformedError("is CSV: say by ?shape= what its lines are")
    text = _decoded(body)
    if not text.endswith(("\n", "\r")):
        # A number that was cut is a number still.
        raise FileMalformedError("has no line end after its last line; is it cut off? If it is whole, add one")
    if "\0" in text:
        raise FileMalformedError("holds a NUL character")
    csv.field_size_limit(LONGEST_CELL)
    lines = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if set(lines.fieldnames or ()).isdisjoint(KNOWN_COLUMNS[shape]):
            raise FileMalformedError(f"has none of {', '.join(KNOWN_COLUMNS[shape])} in its header line")
        return _bounded([RawEntry(shape, f"line {lines.line_num}", _row(line, lines.line_num)) for line in lines])
    except csv.Error as error:
        raise FileMalformedError(f"is not CSV at line {lines.line_num}: {error}") from error


def _entries(told: dict[str, Any]) -> Iterator[RawEntry]:
    for key, entries in told.items():
        if key not in list(Shape) or not isinstance(entries, list):
            known = ", ".join(Shape)
            raise FileMalformedError(f"has {key!r}: keys must be among {known}, and their values arrays")
        yield from (RawEntry(Shape(key), f"{key}.{place}", entry) for place, entry in enumerate(entries))


def _row(line: dict[str | Any, Any], number: int) -> dict[str, Any]:
    if None in line or None in line.values():
        raise FileMalformedError(f"has another number of cells in line {number} than in its header; is it cut off?")
    try:
        return {
            name: json.loads(cell) if name in CSV_JSON_COLUMNS and cell[:1] in {"{", "["} else cell
            for name, cell in line.items()
        }
    except json.JSONDecodeError as error:
        raise FileMalformedError(f"holds a cell in line {number} that begins like JSON and is none") from error


def _decoded(body: bytes) -> str:
    if not body.strip():
        raise FileMalformedError("is empty")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 at byte {error.start}; save it as UTF-8, all of it in one encoding"
        raise FileMalformedError(message) from error


def _bounded(entries: list[RawEntry]) -> list[RawEntry]:
    if not entries:
        raise FileMalformedError("holds no entries")
    if len(entries) > MOST_ENTRIES:
        raise FileMalformedError(f"has {len(entries)} entries; split it into files of at most {MOST_ENTRIES}")
    return entries
