"""Judging the configuration from scratch, without touching findings."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.actions.findings import JUDGED_AT_ONCE, circumstances
from modelbus.integrity.domain.errors import HolderNotFoundError, IndexNotLoadedError
from modelbus.integrity.domain.findings import Fault
from modelbus.integrity.domain.index import IndexHead, Key
from modelbus.integrity.domain.references import HolderKind, Role
from modelbus.integrity.domain.rules import find_faults
from modelbus.integrity.store import index, known, references, view


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
    validation = Validation((await loaded_head(session)).revision, 0, [])
    after: Key | None = None
    while some := await references.list_holders(session, kinds, JUDGED_AT_ONCE, after):
        part = await _judge(session, some, validation.revision)
        validation = Validation(part.revision, validation.checked + part.checked, [*validation.faults, *part.faults])
        after = some[-1]
    return validation


async def validate_chain(session: AsyncSession, chain_id: UUID) -> Validation:
    """Judge one chain.

    Raises:
        IndexNotLoadedError: the catalog was never read.
        HolderNotFoundError: there is no such chain, or it is deleted.
    """
    head = await loaded_head(session)
    key = (HolderKind.CHAIN.value, chain_id)
    if not [each for each in await known.list_known(session, [key]) if each.record is not None]:
        raise HolderNotFoundError(f"no chain has the id {chain_id}")
    return await _judge(session, [key], head.revision)


async def loaded_head(session: AsyncSession) -> IndexHead:
    """Read where the index stands.

    Raises:
        IndexNotLoadedError: the catalog was never read, so nothing true can be said.
    """
    head = await index.read_head(session)
    if not head.is_loaded:
        raise IndexNotLoadedError("the catalog was never read; try again when this service is ready")
    return head


async def _judge(session: AsyncSession, holders: Collection[Key], revision: int) -> Validation:
    places = await view.list_places(session, holders)
    checked = sum(place.reference.role != Role.OFFER for place in places)
    return Validation(revision, checked, find_faults(places, await circumstances(session)))
