"""What all things of the catalog have in common: an identity, a life, and how often their configuration changed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import ClassVar, Protocol
from uuid import UUID


class Thing(Protocol):
    """One noun of the catalog, whole: a frozen dataclass with all that belongs to it."""

    KIND: ClassVar[str]
    """The noun, as in `<kind>.changed`."""
    UNVERSIONED: ClassVar[frozenset[str]]
    """Fields that are no configuration: what the catalog finds out by itself, and secrets."""

    @property
    def id(self) -> UUID: ...  # noqa: D102 - a field
    @property
    def version(self) -> int: ...  # noqa: D102 - a field


LIFE = frozenset({"created_at", "updated_at", "deleted_at", "version"})
"""Fields that tell of a thing's life, not of its configuration."""


def stamp[T](thing: T) -> T:
    """Answer the thing as its next version, changed now."""
    return replace(thing, version=thing.version + 1, updated_at=datetime.now(UTC))  # type: ignore[type-var,attr-defined]
