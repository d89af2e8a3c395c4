"""Repairing: what would mend a finding, and one such change made through the catalog, as the caller, once."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.database import Database
from modelbus.chassis.idempotency_key import IdempotencyKeyReusedError
from modelbus.integrity.actions.findings import circumstances
from modelbus.integrity.actions.usage import recent_uses
from modelbus.integrity.clients.configuration import Configuration, Shown
from modelbus.integrity.domain.edits import PATHS, Changes, Edit, changes_to
from modelbus.integrity.domain.errors import (
    ChangedMeanwhileError,
    FindingNotFoundError,
    FindingResolvedError,
    RemedyNotOfferedError,
    RepairedOtherwiseError,
)
from modelbus.integrity.domain.findings import State
from modelbus.integrity.domain.remedies import Patient, Remedy, RepairProposal, group_of, propose
from modelbus.integrity.domain.rules import groups_of
from modelbus.integrity.store import findings, repairs, view
from modelbus.integrity.store.repairs import Applied


@dataclass(frozen=True, slots=True)
class Asked:
    """Which remedy somebody has chosen."""

    finding_id: UUID
    remedy: Remedy
    model_id: UUID | None
    caller: str
    authorization: str
    """What opens the catalog for them."""
    key: str | None = None
    """The `Idempotency-Key`."""


@dataclass(frozen=True, slots=True)
class Repair:
    """A repair that is applied, and whether it was before this was asked."""

    applied: Applied
    is_replayed: bool


async def list_proposals(session: AsyncSession, finding_id: UUID) -> list[RepairProposal]:
    """List what would mend a finding, the nearest first; nothing for one that is resolved.

    Raises:
        FindingNotFoundError: there never was one under that id.
    """
    patient = await _patient(session, finding_id)
    if patient is None or not patient.remedies:
        return []
    models = await view.list_available_models(session, patient.taken)
    return propose(patient, models, await recent_uses(session, [model.id for model in models]))


async def apply(database: Database, configuration: Configuration, asked: Asked) -> Repair:
    """Change the holder in the catalog; the same remedy is applied once, however often it is asked for.

    No transaction of ours is open while the catalog is asked.

    Raises:
        FindingNotFoundError, FindingResolvedError: there is nothing to repair.
        RemedyNotOfferedError: it would not mend the finding.
        RepairedOtherwiseError: the finding was repaired by another remedy.
        IdempotencyKeyReusedError: the key was used for another repair.
        ChangedMeanwhileError: the place names something else by now.
        CatalogAwayError, RepairForbiddenError, RepairRefusedError: as the catalog answers.
    """
    async with database.reading() as session:
        if (before := await _applied_before(session, asked)) is not None:
            return Repair(before, is_replayed=True)
        patient = await _offered(session, asked)
    path = f"/api/v1/{PATHS[patient.fault.holder.kind]}/{patient.fault.spot.holder_id}"
    edit = _edit(patient, asked)

    def changes(shown: Shown) -> Changes:
        return changes_to(patient.fault.holder.kind, shown.body, edit)

    seen = await configuration.show(path, asked.authorization)
    now = seen
    if changed := changes(seen):
        try:
            now = await configuration.change(path, changed, seen, asked.authorization)
        except ChangedMeanwhileError:
            # Perhaps by the same request at the same time, and then it is done.
            if changes(await configuration.show(path, asked.authorization)):
                raise
    async with database.transaction() as session:
        applied = Applied(
            finding_id=asked.finding_id,
            remedy=asked.remedy,
            model_id=asked.model_id,
            applied_by=asked.caller,
            applied_at=datetime.now(UTC),
            idempotency_key=asked.key,
            holder_path=path,
            version_before=None if now is seen else seen.version,
            version_after=now.version,
        )
        is_ours = await repairs.save(session, applied)
    if is_ours:
        return Repair(applied, is_replayed=False)
    async with database.reading() as session:
        kept = await _applied_before(session, asked)
    return Repair(kept or applied, is_replayed=True)


async def _applied_before(session: AsyncSession, asked: Asked) -> Applied | None:
    if asked.key is not None and (by_key := await repairs.find_by_key(session, asked.caller, asked.key)) is not None:
        if not _is_same(by_key, asked):
            raise IdempotencyKeyReusedError
        return by_key
    known = await repairs.find_of(session, asked.finding_id)
    if known is not None and not _is_same(known, asked):
        what = "the same place" if known.model_id is None else f"the model {known.model_id}"
        raise RepairedOtherwiseError(f"finding {asked.finding_id} was repaired already: {known.remedy} with {what}")
    return known


def _is_same(applied: Applied, asked: Asked) -> bool:
    return (applied.finding_id, applied.remedy, applied.model_id) == (asked.finding_id, asked.remedy, asked.model_id)


async def _offered(session: AsyncSession, asked: Asked) -> Patient:
    patient = await _patient(session, asked.finding_id)
    if patient is None:
        raise FindingResolvedError(f"finding {asked.finding_id} is resolved, so there is nothing to repair")
    if asked.remedy not in patient.remedies:
        known = ", ".join(sorted(patient.remedies)) or "none: decide in the catalog"
        raise RemedyNotOfferedError("remedy", f"must be one that this finding has: {known}")
    if asked.remedy is not Remedy.REMOVE:
        models = [
            each for each in await view.list_available_models(session, patient.taken) if each.id == asked.model_id
        ]
        if not [each for each in propose(patient, models, {}) if each.model is not None]:
            message = "must be an available model of the same type that is not named there yet and mends the finding"
            raise RemedyNotOfferedError("model_id", message)
    return patient


async def _patient(session: AsyncSession, finding_id: UUID) -> Patient | None:
    """Look up what a finding is about; None where it is resolved."""
    row = await findings.find_shown(session, finding_id)
    if row is None:
        raise FindingNotFoundError(f"no finding has the id {finding_id}")
    if row.state == State.RESOLVED:
        return None
    fault = findings.read_fault(row)
    places = await view.list_places(session, [(fault.spot.holder_kind, fault.spot.holder_id)])
    return Patient(fault, group_of(fault, groups_of(places)), await circumstances(session))


def _edit(patient: Patient, asked: Asked) -> Edit:
    spot, reference = patient.fault.spot, patient.group[0].reference
    return Edit(asked.remedy, spot.place_key, reference.serves, spot.target_id, asked.model_id)
