"""Background: what metadata files say of a listed model, for what its listing does not tell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.provenance import by_file

_READ: Mapping[str, Callable[[str], Any]] = {
    "knowledge_cutoff": date.fromisoformat,
    "deprecated_at": datetime.fromisoformat,
}


@dataclass(frozen=True, slots=True)
class Remark:
    """What one file says of one model; without a file it is inferred."""

    file: str | None
    entry: str | None
    is_exact: bool
    told: dict[str, Any]
    """The model's fields, as JSON has them."""
    tells_cost: bool = False
    """Whether what the offer costs is from there, too."""


@dataclass(frozen=True, slots=True)
class Hint:
    """The value that a field gets where nobody better tells it."""

    by: str
    """As in a model's `provenance`."""
    written: Any
    """As JSON has it."""
    value: Any


def hints_of(remarks: Sequence[Remark], told: Mapping[str, Any], supplier_id: UUID) -> dict[str, Hint]:
    """Answer what the first remark says of each field that the listing does not tell."""
    hints: dict[str, Hint] = {}
    for remark in remarks:
        for name, written in remark.told.items():
            if name not in told and name not in hints:
                hints[name] = Hint(by_file(remark.file, supplier_id), written, read_told(name, written))
    return hints


def read_told(name: str, written: Any) -> Any:
    """Answer the value of a field that JSON has as text."""
    return _READ[name](written) if name in _READ else written


def rows_of(remarks: Sequence[Remark]) -> list[dict[str, Any]] | None:
    """Answer the remarks as a source keeps them; None of none."""
    return [asdict(remark) for remark in remarks] or None


def remarks_in(rows: Sequence[Mapping[str, Any]] | None) -> list[Remark]:
    """Answer the remarks that a source keeps."""
    return [Remark(**row) for row in rows or ()]
