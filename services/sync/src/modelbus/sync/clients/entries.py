"""The entries of a listing, whatever its shape: which of them are models, and why the others are not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from modelbus.contracts.sync import LeftOut, Life, ListedModel
from modelbus.sync.domain.errors import EmptyListingError, NotOfferedError, UnusableAnswerError
from modelbus.sync.domain.moments import read_moment
from modelbus.sync.domain.names import LONGEST_NAME, readable, why_unusable

LARGEST_COUNT = 2**31 - 1

type Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an adapter has read."""

    models: list[ListedModel]
    left_out: list[LeftOut]


def list_in(document: Any, key: str) -> list[Any]:
    """Answer the list under the key, or the document itself where it is a list.

    Raises:
        UnusableAnswerError: there is no list.
    """
    entries = document.get(key) if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise UnusableAnswerError(f"the answer holds no list of models under '{key}'{_said(document)}")
    return entries


def entries_of(document: Any, key: str) -> list[Any]:
    """Answer the list under the key, or the document itself where it is a list.

    Raises:
        UnusableAnswerError: there is no list.
        EmptyListingError: there is nothing in it.
    """
    entries = list_in(document, key)
    if not entries:
        raise EmptyListingError
    return entries


def _said(document: Any) -> str:
    for word in ("error", "message"):
        if isinstance(document, dict) and document.get(word):
            return f"; it says {readable(document[word], 200)}"
    return ""


def read_entries(entries: Sequence[Any], id_key: str, read: Callable[[str, Entry], ListedModel]) -> Fetched:
    """Read each entry that has a usable id of its own; of doubles the first counts.

    `read` may raise NotOfferedError, which leaves the entry out.

    Raises:
        UnusableAnswerError: none has one.
    """
    models: dict[str, ListedModel] = {}
    left_out: list[LeftOut] = []
    for entry in entries:
        name = entry.get(id_key) if isinstance(entry, dict) else None
        reason = why_unusable(name) if isinstance(entry, dict) else "it is not an object"
        if reason is None and name in models:
            reason = "its id was listed before"
        if reason is None:
            try:
                models[str(name)] = read(str(name), entry)
            except NotOfferedError as error:
                reason = str(error)
        if reason is not None:
            shown = "" if name is None else readable(name, LONGEST_NAME)
            left_out.append(LeftOut(upstream_name=shown, reason=reason))
    if not models:
        raise UnusableAnswerError(
            f"none of the {len(entries)} entries can be a model; of the first: {left_out[0].reason}"
        )
    return Fetched(list(models.values()), left_out)


def count_of(entry: Any, *keys: str) -> int | None:
    """Answer the first of the named fields that holds a positive number of tokens; None where none does."""
    for key in keys:
        given = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(given, int) and not isinstance(given, bool) and 0 < given <= LARGEST_COUNT:
            return given
    return None


def moment_of(entry: Entry, *keys: str) -> datetime | None:
    """Answer the first of the named fields that holds a plausible time; None where none does."""
    return next((moment for key in keys if (moment := read_moment(entry.get(key))) is not None), None)


def life_of(
    entry: Entry, *, deprecated: Sequence[str] = (), retires: Sequence[str] = (), replacement: Sequence[str] = ()
) -> Life | None:
    """Read the days of the model's life from the first of the named fields that hold them; None where none does."""
    life = Life(
        deprecated_at=moment_of(entry, *deprecated),
        retires_at=moment_of(entry, *retires),
        replacement=name_in(entry, *replacement),
    )
    return None if life == Life() else life


def name_in(entry: Entry, *keys: str) -> str | None:
    """Answer the first of the named fields that holds what can be a model's name; None where none does."""
    return next((str(entry[key]) for key in keys if why_unusable(entry.get(key)) is None), None)
