"""A complexity routing says which models serve requests of which level of complexity, best first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID


class Level(StrEnum):
    """How hard a request is, the easiest first."""

    TRIVIAL = "trivial"
    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"
    EXPERT = "expert"


@dataclass(frozen=True, slots=True)
class LevelModels:
    """The models of one level, best first."""

    level: Level
    model_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Classifier:
    """How a request's level is found."""

    thresholds: tuple[float, ...]
    """Scores from 0 to 1, growing, at which every level but the easiest begins."""
    is_sticky: bool
    """A conversation keeps its level, unless a harder request raises it."""
    judge_model_id: UUID | None = None
    """A model that is asked for the level; without an answer in time the local classifier decides."""
    judge_timeout_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ComplexityRouting:
    """The levels that have models."""

    KIND: ClassVar[str] = "complexity"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    description: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    levels: tuple[LevelModels, ...] = ()
    """The easiest level first."""
    version: int = 1
    classifier: Classifier | None = None
    """None takes the router's own settings."""


def in_order(models: Mapping[Level, Sequence[UUID]]) -> tuple[LevelModels, ...]:
    """Put the levels into their one order, so that the same levels given in any order are the same routing."""
    return tuple(LevelModels(level, tuple(models[level])) for level in Level if level in models)
