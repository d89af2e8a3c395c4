"""Forecasting: what retires within some days, and what would break on which of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.actions.findings import circumstances
from modelbus.integrity.actions.impact import list_places_around
from modelbus.integrity.actions.validations import loaded_head
from modelbus.integrity.domain.findings import Fault, FindingKind
from modelbus.integrity.domain.impact import without, worsened
from modelbus.integrity.domain.rules import find_faults
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store import findings, view
from modelbus.integrity.store.findings import FindingFilter

_MOST_ALERTS = 1000


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model or source that is still available and is to go."""

    kind: TargetKind
    id: UUID
    model_name: str | None
    supplier_name: str | None
    """Of a source."""
    day: date
    alerts: tuple[UUID, ...]
    """The findings that tell of it."""


@dataclass(frozen=True, slots=True)
class Day:
    """What goes on a day, and what breaks by it."""

    day: date
    retirements: list[Retirement]
    faults: list[Fault]
    """What would be found then, with all that goes before, and was not on the day before."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to come, day by day."""

    revision: int
    until: date
    days: list[Day]


async def forecast(session: AsyncSession, days: int) -> Forecast:
    """Tell what retires within that many days, and what would break if nobody did anything about it.

    Raises:
        IndexNotLoadedError: the catalog was never read.
    """
    head = await loaded_head(session)
    now = await circumstances(session)
    until = now.today + timedelta(days=days)
    retiring = await _list_retirements(session, until)
    places = await list_places_around(session, [each.id for each in retiring])
    gone: set[UUID] = set()
    told: list[Day] = []
    before = find_faults(places, now)
    for day, some in groupby(retiring, key=lambda each: each.day):
        together = list(some)
        gone |= {each.id for each in together}
        after = find_faults(without(places, gone), now)
        told.append(Day(day, together, worsened(before, after)))
        before = after
    return Forecast(head.revision, until, told)


async def _list_retirements(session: AsyncSession, until: date) -> list[Retirement]:
    models, sources = await view.list_retiring(session)
    due: list[tuple[TargetKind, UUID, str | None, str | None, date]] = [
        (TargetKind.MODEL, model.id, model.name, None, model.retires_at.date())
        for model in models.values()
        if model.retires_at is not None and model.problem is None
    ]
    for source in sources:
        if source.retires_at is not None and source.problem is None:
            name = models[source.model_id].name if source.model_id in models else None
            due.append((TargetKind.SOURCE, source.id, name, source.supplier_name, source.retires_at.date()))
    due = [each for each in due if each[-1] <= until]
    alerts = await _alerts(session, {each[1] for each in due})
    found = [Retirement(*each, alerts=tuple(alerts.get(each[1], ()))) for each in due]
    return sorted(found, key=lambda each: (each.day, each.kind, each.model_name or "", each.id))


async def _alerts(session: AsyncSession, target_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """List the open findings of retirements, which were told when they were opened, by what retires."""
    wanted = FindingFilter(kinds=(FindingKind.RETIRING_SOON,), states=findings.UNRESOLVED)
    by_target: dict[UUID, list[UUID]] = {}
    for row in await findings.page_findings(session, wanted, _MOST_ALERTS, None):
        if row.target_id in target_ids:
            by_target.setdefault(row.target_id, []).append(row.id)
    return by_target
