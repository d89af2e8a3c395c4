"""Impact: what a deletion or a disabling would break is found first, and refused unless the caller says what to do."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.replacement import find_replacement, replace_references
from modelbus.catalog.domain.references import (
    BREAKING,
    Consent,
    Departure,
    Finding,
    Gone,
    Place,
    TargetKind,
    find_broken,
)
from modelbus.catalog.domain.routing_errors import StillReferencedError
from modelbus.catalog.store import departures, places


@dataclass(frozen=True, slots=True)
class Impact:
    """What would come of a departure."""

    gone: Gone
    findings: list[Finding]
    """The worst first."""

    @property
    def is_refused(self) -> bool:
        """Tell whether it needs the caller's consent."""
        return any(finding.severity in BREAKING for finding in self.findings)


async def impact_of(session: AsyncSession, departure: Departure) -> Impact:
    """Find what would break; a fixed number of statements, and nothing is locked."""
    gone = await _gone_with(session, departure)
    return Impact(gone, find_broken(await _places_left(session, departure, gone), gone))


async def refuse_breaking(session: AsyncSession, departure: Departure, consent: Consent) -> None:
    """Hold whatever the departure touches, and see to the references that it would break; call it before the change.

    Raises:
        StillReferencedError: some would break, and the caller has not said what to do about them.
        WrongReplacementError: they can't be rewritten to what the caller named.
    """
    if consent.force and consent.replace_with is None:
        return
    await departures.hold_models(session, await _models_touched(session, departure))
    gone = await _gone_with(session, departure)
    around = await _places_left(session, departure, gone)
    if consent.replace_with is not None:
        named = [place for place in around if gone.names(place)]
        replacement = await find_replacement(session, departure.kind, consent.replace_with, gone, named)
        await replace_references(session, departure, gone, named, replacement)
        return
    broken = [finding for finding in find_broken(around, gone) if finding.severity in BREAKING]
    if broken:
        raise StillReferencedError([finding.as_json() for finding in broken])


async def _places_left(session: AsyncSession, departure: Departure, gone: Gone) -> list[Place]:
    """Answer the places around; not those of a credential that goes, which may name what it alone serves."""
    around = await places.places_around(session, gone.all)
    if departure.kind != TargetKind.CREDENTIAL:
        return around
    return [place for place in around if place.holder_id not in departure.ids]


async def _gone_with(session: AsyncSession, departure: Departure) -> Gone:
    match departure.kind:
        case TargetKind.SOURCE:
            return await _gone_with_sources(session, departure.ids, is_deleted=departure.is_deleted)
        case TargetKind.SUPPLIER:
            served = await departures.sources_of_suppliers(session, departure.ids)
            return await _gone_with_sources(session, served, is_deleted=departure.is_deleted)
        case TargetKind.CREDENTIAL:
            left = await departures.sources_left_without(session, departure.ids)
            return await _gone_with_sources(session, left, is_deleted=False)
        case _:
            return Gone(departure.ids, departure.ids if departure.is_deleted else frozenset())


async def _gone_with_sources(session: AsyncSession, source_ids: AbstractSet[UUID], *, is_deleted: bool) -> Gone:
    models = await departures.models_left_without(session, source_ids)
    return Gone(frozenset(source_ids | models), frozenset(source_ids) if is_deleted else frozenset())


async def _models_touched(session: AsyncSession, departure: Departure) -> AbstractSet[UUID]:
    match departure.kind:
        case TargetKind.MODEL:
            return departure.ids
        case TargetKind.SOURCE:
            return await departures.models_of_sources(session, departure.ids)
        case TargetKind.SUPPLIER:
            served = await departures.sources_of_suppliers(session, departure.ids)
        case TargetKind.CREDENTIAL:
            served = await departures.sources_left_without(session, departure.ids)
        case _:
            return frozenset()
    return await departures.models_of_sources(session, served)
