"""Judging what is not saved yet, by the rules that also open findings."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.actions.findings import circumstances
from modelbus.integrity.actions.validations import Validation, loaded_head
from modelbus.integrity.domain.errors import MissingTargetsError
from modelbus.integrity.domain.known import Known
from modelbus.integrity.domain.proposals import Named, Proposal
from modelbus.integrity.domain.rules import find_faults
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store import known, view


async def judge_proposal(session: AsyncSession, proposal: Proposal, *, allows_missing: bool) -> Validation:
    """Judge a holder as if it were saved and in service.

    With `allows_missing`, what does not exist is judged like what was deleted.

    Raises:
        IndexNotLoadedError: the catalog was never read, so everything would look deleted.
        MissingTargetsError: fields name what does not exist.
    """
    head = await loaded_head(session)
    if not allows_missing:
        await _refuse_missing(session, proposal.named)
    now = await circumstances(session)
    rows = [(proposal.holder, ordinal, each) for ordinal, each in enumerate(proposal.references, 1)]
    places = await view.see(session, rows)
    if proposal.charge is not None:
        places = [replace(place, model=replace(place.model, charge=proposal.charge)) for place in places]
    return Validation(head.revision, len(places), find_faults(places, now))


async def _refuse_missing(session: AsyncSession, named: Mapping[str, Named]) -> None:
    keys = {(each.kind.value, each.id) for each in named.values()}
    living = {each.id: each for each in await known.list_known(session, keys) if each.record is not None}
    errors = [{"field": f"proposed.{field}", "message": message} for field, message in _missing(named, living)]
    if errors:
        raise MissingTargetsError(errors)


def _missing(named: Mapping[str, Named], living: Mapping[UUID, Known]) -> Iterator[tuple[str, str]]:
    for field, each in named.items():
        found = living.get(each.id)
        if found is None:
            yield field, f"must be the id of a {each.kind} that exists, and {each.id} is none"
        elif each.kind is TargetKind.SOURCE and found.model_id != each.model_id:
            yield field, f"must be a source of the model {each.model_id}, and is one of {found.model_id}"
