"""A scope is a business domain with its own set of models."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.errors import DefaultOutsideScopeError


@dataclass(frozen=True, slots=True)
class Scope:
    """The models of one business domain, in the order given."""

    KIND: ClassVar[str] = "scope"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    description: str | None
    is_active: bool
    default_model_id: UUID | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    model_ids: list[UUID]
    version: int = 1
    domain: str | None = None
    """What it stands for in the business: `tenant`, `module`, `prompt` ..."""
    strategy_id: UUID | None = None
    """How a source is chosen among its models; None takes the router's default."""
    response_cache_s: int | None = None
    """For how many seconds an answer may be given again to the same request; None for never."""

    def checked(self) -> "Scope":
        """Answer the scope itself.

        Raises:
            DefaultOutsideScopeError: the default model is none of the scope's models.
        """
        if self.default_model_id is not None and self.default_model_id not in self.model_ids:
            raise DefaultOutsideScopeError(self.default_model_id)
        return self
