"""A capability is something that models can do; a model has it with settings of its own."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID


class Domain(StrEnum):
    """Which field of machine learning a capability belongs to."""

    NLP = "nlp"
    CV = "cv"
    AUDIO = "audio"
    MULTIMODAL = "multimodal"


class DataType(StrEnum):
    """What goes in or comes out."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    FILE = "file"
    VECTOR = "vector"
    SCORE = "score"


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that a model can do."""

    KIND: ClassVar[str] = "capability"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    display_name: str
    description: str | None
    domain: str
    input_types: list[str]
    output_types: list[str]
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1
