"""A split shares the requests to one name among its arms, and copies some of them to its shadows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Protocol, Self
from uuid import UUID

from modelbus.catalog.domain.routing_errors import VariantTwiceError, WeightlessSplitError

MOST_ARMS = 20
MOST_SHADOWS = 5
LARGEST_WEIGHT = 1_000_000
BY_NOTHING, BY_USER, BY_HEADER = "none", "user", "header:"


class Variant(Protocol):
    """An arm or a shadow: a name, and what stands behind it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - a field
    @property
    def model_id(self) -> UUID: ...  # noqa: D102 - a field
    @property
    def source_id(self) -> UUID | None: ...  # noqa: D102 - a field


@dataclass(frozen=True, slots=True)
class Arm:
    """A model by whatever source, or one exact source of it, and its share of the requests."""

    name: str
    model_id: UUID
    weight: int
    """Its share is its part of all weights; 0 serves only when the others can't."""
    source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Shadow:
    """A model by whatever source, or one exact source of it, that is sent copies."""

    name: str
    model_id: UUID
    percent: float
    """Of the requests that were served, how many are copied."""
    source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """Arms under a name that callers use like a model's."""

    KIND: ClassVar[str] = "split"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    description: str | None
    is_active: bool
    sticky_by: str
    """What draws the same arm again: `user`, `header:<name>` or `none`."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    arms: tuple[Arm, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    version: int = 1

    @property
    def variants(self) -> dict[str, Variant]:
        """Answer the arms and shadows by their paths in the split."""
        arms: dict[str, Variant] = {f"arms.{at}": arm for at, arm in enumerate(self.arms)}
        return arms | {f"shadows.{at}": shadow for at, shadow in enumerate(self.shadows)}

    def checked(self) -> Self:
        """Answer the split itself.

        Raises:
            WeightlessSplitError: no arm has a weight, so none would be drawn.
            VariantTwiceError: two arms or shadows have the same name.
        """
        if not any(arm.weight for arm in self.arms):
            raise WeightlessSplitError
        seen: set[str] = set()
        for path, variant in self.variants.items():
            if variant.name in seen:
                raise VariantTwiceError(path, variant.name)
            seen.add(variant.name)
        return self


def redirect[V: (Arm, Shadow)](
    variants: Sequence[V], lost: Collection[UUID], place: tuple[UUID, UUID | None]
) -> tuple[V, ...]:
    """Answer the variants with another model and source behind those whose own is lost; names and shares stay."""
    model_id, source_id = place
    return tuple(
        replace(each, model_id=model_id, source_id=source_id)
        if each.model_id in lost or each.source_id in lost
        else each
        for each in variants
    )
