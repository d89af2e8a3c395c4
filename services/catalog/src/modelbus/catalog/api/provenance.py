"""Why a model's fields hold what they do, over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from modelbus.catalog.actions import provenance as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.model_names import Model, key_of
from modelbus.catalog.api.models import ModelView
from modelbus.catalog.api.references import each_once
from modelbus.catalog.api.views import Input, Shown, View
from modelbus.catalog.domain.candidates import ToldField, cost_of, standing_of
from modelbus.catalog.domain.models import CAPABILITIES
from modelbus.catalog.domain.provenance import Candidate, Teller
from modelbus.catalog.domain.sources import Source
from modelbus.catalog.store import models, sources
from modelbus.catalog.store.capabilities import every_capability
from modelbus.catalog.store.provenance import Turn, last_turns, names_of_suppliers
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=OnceRoute, dependencies=GUARDS)


class Release(Input):
    """Which fields are to be automatic again."""

    fields: Annotated[list[ToldField], Field(min_length=1, max_length=len(ToldField)), AfterValidator(each_once)]


class CandidateView(View):
    """A value, and on whose word."""

    value: Any
    teller: str | None
    """`administrator`, `listing`, `metadata` or `inferred`; each goes before those after it. Null: nobody says it."""
    confidence: str | None
    """`certain`, `high`, `medium` or `low`."""
    supplier_id: UUID | None
    """Whose listing said it, or to whose listing the file was read."""
    supplier_name: str | None
    source_id: UUID | None
    file: str | None
    """The metadata file, by the name that the operator gave it."""
    entry: str | None
    """What the file calls the model."""


class StandingView(CandidateView):
    """What a field holds, and why."""

    field: str
    since: datetime | None
    """When it, or who tells it, last became another; null where no version says so."""
    changed_by: str | None
    """Who made that change; `sync` stands for a listing that was applied."""
    candidates: list[CandidateView]
    """What others say, the first to be believed first."""


class CostView(CandidateView):
    """What a source costs, and on whose word; `value` is as a source's `cost`."""

    upstream_name: str
    since: datetime | None
    changed_by: str | None


class Provenance(View):
    """Why a model is described as it is."""

    model_id: UUID
    name: str
    fields: list[StandingView]
    costs: list[CostView]
    """Of each source, the preferred one first."""


@routes.get("/{model:path}/provenance")
async def show_provenance(model: Model, session: Reading) -> Provenance:
    """Show for each field of a model what it holds, who told it and when, and what others say."""
    found = await models.get_model(session, key_of(model))
    offered = await sources.sources_of_models(session, [found.id])
    standings = [standing_of(found, field, offered) for field in ToldField]
    suppliers = {each.supplier_id for each in offered}
    suppliers |= {each.present.supplier_id for each in standings if each.present.supplier_id is not None}
    words = _Words(
        suppliers=await names_of_suppliers(session, suppliers),
        capabilities={str(each.id): each.name for each in await every_capability(session)},
    )
    turns = await last_turns(session, found.KIND, [found.id])
    turns |= await last_turns(session, Source.KIND, [each.id for each in offered])
    fields = [
        StandingView(
            field=each.field,
            **words.shown(each.present, each.field),
            **_turn(turns.get((found.id, each.field))),
            candidates=[CandidateView(**words.shown(other, each.field)) for other in each.others],
        )
        for each in standings
    ]
    costs = [
        CostView(upstream_name=each.upstream_name, **words.shown(cost_of(each)), **_turn(turns.get((each.id, "cost"))))
        for each in offered
    ]
    return Provenance(model_id=found.id, name=found.name, fields=fields, costs=costs)


@routes.post("/{model:path}/provenance/release")
async def release_fields(model: Model, release: Release, session: Transaction, answer: Shown) -> ModelView:
    """Give fields that an administrator told back to listings and metadata files, which set them at once."""
    return answer(ModelView, await actions.release_fields(session, key_of(model), release.fields))


class _Words:
    """What ids are called."""

    def __init__(self, suppliers: dict[UUID, str], capabilities: dict[str, str]) -> None:
        self._suppliers = suppliers
        self._capabilities = capabilities

    def shown(self, candidate: Candidate, field: str = "") -> dict[str, Any]:
        """Answer the fields of a candidate's view."""
        value = candidate.value
        is_unsaid = candidate.teller == Teller.INFERRED and value in (None, {})
        if field == CAPABILITIES:
            value = sorted(self._capabilities.get(key, key) for key in value)
        return {
            "value": value,
            "teller": None if is_unsaid else candidate.teller,
            "confidence": None if is_unsaid else candidate.confidence,
            "supplier_id": candidate.supplier_id,
            "supplier_name": self._suppliers.get(candidate.supplier_id) if candidate.supplier_id else None,
            "source_id": candidate.source_id,
            "file": candidate.file,
            "entry": candidate.entry,
        }


def _turn(turn: Turn | None) -> dict[str, Any]:
    return {"since": turn.at if turn else None, "changed_by": turn.caller_name if turn else None}
