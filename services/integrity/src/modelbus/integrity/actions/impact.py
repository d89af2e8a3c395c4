"""Answering what would break if a model, a source or a supplier went."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.actions.findings import circumstances
from modelbus.integrity.actions.references import ids_of
from modelbus.integrity.actions.usage import share_of
from modelbus.integrity.actions.validations import loaded_head
from modelbus.integrity.domain.errors import TargetNotFoundError
from modelbus.integrity.domain.findings import Fault
from modelbus.integrity.domain.impact import without, worsened
from modelbus.integrity.domain.index import Key
from modelbus.integrity.domain.known import Known
from modelbus.integrity.domain.references import HolderKind, Place, Role
from modelbus.integrity.domain.rules import find_faults
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.domain.usage import Share
from modelbus.integrity.store import known, references, view


@dataclass(frozen=True, slots=True)
class Impact:
    """What would come of it."""

    target: Known
    revision: int
    checked: int
    """How many references were looked at."""
    faults: list[Fault]
    """The worst first."""
    share: Share | None
    """Of recent requests; None where nobody told of any."""


async def impact_of(session: AsyncSession, target: str) -> Impact:
    """Find what would break without a target: the id of a model, source or supplier, or the name of a model.

    Raises:
        IndexNotLoadedError: the catalog was never read.
        TargetNotFoundError: nothing that exists goes by that.
    """
    head = await loaded_head(session)
    found = await _find(session, target)
    gone = await _gone_with(session, found)
    places = await list_places_around(session, gone)
    return Impact(
        target=found,
        revision=head.revision,
        checked=sum(place.reference.role is not Role.OFFER for place in places),
        faults=await break_without(session, places, gone),
        share=await share_of(session, [found.id]),
    )


async def list_places_around(session: AsyncSession, gone: Collection[UUID]) -> list[Place]:
    """List every place of whoever depends on some models and sources."""
    models = {each.model_id for each in await known.list_known(session, _keys("source", gone)) if each.model_id}
    holders = set(await references.list_holders_of(session, {*gone, *models}))
    # A model itself and its price, which are judged by what they are of.
    for kind in (HolderKind.MODEL, HolderKind.PRICE):
        holders |= set(_keys(kind.value, {*gone, *models}))
    return await view.list_places(session, sorted(holders))


async def break_without(session: AsyncSession, places: list[Place], gone: Collection[UUID]) -> list[Fault]:
    """Find what would be wrong with the places without some models and sources, and is not now."""
    now = await circumstances(session)
    return worsened(find_faults(places, now), find_faults(without(places, gone), now))


async def _find(session: AsyncSession, target: str) -> Known:
    keys = [(kind.value, each) for each in await ids_of(session, target) for kind in TargetKind]
    living = [each for each in await known.list_known(session, keys) if each.record is not None]
    if not living:
        raise TargetNotFoundError(f"no model, source or supplier goes by {target!r}")
    return living[0]


async def _gone_with(session: AsyncSession, target: Known) -> set[UUID]:
    if target.kind == TargetKind.SUPPLIER.value:
        return set(await view.list_sources_of_supplier(session, target.id))
    return {target.id}


def _keys(kind: str, ids: Collection[UUID]) -> list[Key]:
    return [(kind, each) for each in ids]
