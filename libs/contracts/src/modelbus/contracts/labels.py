"""State records of what models are sorted and labelled by: capabilities, categories and tags."""

from typing import Any, ClassVar
from uuid import UUID

from modelbus.contracts.records import Record


class CapabilityRecord(Record):
    """Something that a model can do."""

    kind: ClassVar[str] = "capability"

    name: str
    """For instance `vision`, `tools`, `structured_output`."""
    display_name: str
    domain: str
    """`nlp`, `cv`, `audio` or `multimodal`."""
    input_types: list[str]
    output_types: list[str]
    description: str | None = None


class CategoryRecord(Record):
    """A place in the tree of categories."""

    kind: ClassVar[str] = "category"

    name: str
    display_name: str
    parent_id: UUID | None
    """None at the root."""
    position: int
    """Order among its siblings."""
    description: str | None = None


class TagRecord(Record):
    """A label that users see, given to models by hand or by rule."""

    kind: ClassVar[str] = "tag"

    name: str
    display_name: str
    rule: dict[str, Any] | None
    """How models get it without anybody's hand; None means only by hand."""
    color: str | None = None
    position: int = 0
    description: str | None = None
