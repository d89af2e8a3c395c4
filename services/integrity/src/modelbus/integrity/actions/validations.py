"""Validating on demand: the same rules, from scratch, on the index as it is; nothing is opened or closed."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.errors import IndexNotLoadedError
from modelbus.integrity.domain.findings import Fault
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.staleness import find_stale
from modelbus.integrity.store import holders, index


@dataclass(frozen=True, slots=True)
class Validation:
    """What is wrong with the configuration at a revision."""

    revision: int
    checked: int
    """How many references were looked at."""
    faults: list[Fault]


async def validate(session: AsyncSession, kinds: Collection[HolderKind]) -> Validation:
    """Judge all holders of some kinds.

    Raises:
        IndexNotLoadedError: the catalog was never read, so everything would look deleted.
    """
    head = await index.read_head(session)
    if not head.is_loaded:
        raise IndexNotLoadedError("the catalog was never read; try again when this service is ready")
    places = await holders.list_places_of_kinds(session, kinds)
    return Validation(head.revision, len(places), find_stale(places))
