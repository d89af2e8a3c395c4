"""The forecast, as administrators read it."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading
from modelbus.integrity.actions.forecasts import forecast
from modelbus.integrity.api.validations import FaultView
from modelbus.integrity.domain.targets import TargetKind

MOST_DAYS = 730

routes = APIRouter(prefix="/api/v1/forecast", tags=["forecast"])


class RetirementView(BaseModel):
    """A model or source that is still available and is to go."""

    model_config = ConfigDict(from_attributes=True)

    kind: TargetKind
    id: UUID
    model_name: str | None
    supplier_name: str | None
    """Of a source."""
    alerts: list[UUID]
    """The findings of the kind `retiring_soon` that tell of it, each told as an event once."""


class DayView(BaseModel):
    """What goes on a day, and what breaks by it."""

    model_config = ConfigDict(from_attributes=True)

    day: date
    """May be past: what should have gone by then and is still available."""
    retirements: list[RetirementView]
    findings: list[FaultView]
    """What would be found then, with all that goes before, and was not on the day before."""


class ForecastView(BaseModel):
    """What is to come."""

    revision: int
    until: date
    days: list[DayView]
    """Those on which something goes, in order."""


class ForecastQuery(BaseModel):
    """How far to look."""

    model_config = ConfigDict(extra="forbid")

    days: int = Field(default=30, ge=1, le=MOST_DAYS)


@routes.get("")
async def show_forecast(session: Reading, asked: Annotated[ForecastQuery, Query()]) -> ForecastView:
    """Tell what retires within `days` days, and what would break if nobody did anything about it."""
    told = await forecast(session, asked.days)
    return ForecastView(
        revision=told.revision,
        until=told.until,
        days=[
            DayView(
                day=day.day,
                retirements=[RetirementView.model_validate(each) for each in day.retirements],
                findings=[FaultView.of(fault) for fault in day.faults],
            )
            for day in told.days
        ],
    )
