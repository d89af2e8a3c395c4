"""What can be done with sources."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.costs import begin_costs
from modelbus.catalog.actions.versions import expect, note
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.errors import AlreadyExistsError, DanglingReferenceError, NotFoundError
from modelbus.catalog.domain.prices import Amounts
from modelbus.catalog.domain.references import NO_CONSENT, Consent, Departure, TargetKind
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import models, sources, suppliers
from modelbus.chassis.ids import new_id


def new_source(fields: dict[str, Any], origin: Origin, now: datetime) -> Source:
    """Make a source that is not available yet; settling decides."""
    return Source(
        **fields,
        id=new_id(),
        origin=origin,
        missed=0,
        is_listed=True,
        is_available=False,
        reason=Reason.NO_SOURCE,
        since=now,
        first_seen_at=now,
        last_seen_at=now,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )


async def create_source(session: AsyncSession, fields: dict[str, Any]) -> Source:
    """Add an offer by hand; no listing ever removes it.

    Raises:
        DanglingReferenceError: there is no such supplier or model.
        AlreadyExistsError: the supplier offers something under that upstream name already.
    """
    supplier_id, model_id = fields["supplier_id"], fields["model_id"]
    try:
        await suppliers.lock_supplier(session, supplier_id)
    except NotFoundError as error:
        raise DanglingReferenceError("supplier_id", "supplier", supplier_id) from error
    held = await models.lock_models(session, [model_id])
    if model_id not in held or held[model_id].deleted_at is not None:
        raise DanglingReferenceError("model_id", "model", model_id)
    offered = await sources.sources_of_supplier(session, supplier_id)
    if any(each.upstream_name == fields["upstream_name"] for each in offered):
        raise AlreadyExistsError("source of this supplier", "upstream_name", fields["upstream_name"])
    source = new_source(fields, Origin.ADMINISTRATOR, datetime.now(UTC))
    if not Amounts.read(source.cost).is_unknown:
        source = replace(source, cost_origin=Origin.ADMINISTRATOR)
    await sources.insert_sources(session, [source])
    await begin_costs(session, [source])
    note(session, None, source)
    await settle(session, [model_id], changed_sources=[source.id])
    return await sources.get_source(session, source.id)


async def change_source(
    session: AsyncSession, source_id: UUID, fields: dict[str, Any], consent: Consent = NO_CONSENT
) -> Source:
    """Change the given fields; taking the last available source of a model out makes it unavailable.

    Raises:
        StillReferencedError: it goes out of service, and something refers to it, or to the model that it alone serves.
    """
    source = await _lock(session, source_id)
    expect(session, source)
    if source.is_enabled and fields.get("is_enabled") is False:
        await impact.refuse_breaking(session, Departure.disabling(TargetKind.SOURCE, source_id), consent)
    changed = replace(source, **fields)
    if changed == source:
        return source
    changed = stamp(changed)
    await sources.save_sources(session, [changed])
    note(session, source, changed)
    await settle(session, [source.model_id], changed_sources=[source.id])
    return await sources.get_source(session, source_id)


async def delete_source(session: AsyncSession, source_id: UUID, consent: Consent = NO_CONSENT) -> None:
    """Take an offer out of the catalog; the next listing that names it brings it back as a new one.

    Raises:
        StillReferencedError: something refers to it, or to the model that it alone serves.
    """
    source = await _lock(session, source_id)
    expect(session, source)
    await impact.refuse_breaking(session, Departure.deleting(TargetKind.SOURCE, source_id), consent)
    await sources.save_sources(session, [stamp(replace(source, deleted_at=datetime.now(UTC)))])
    note(session, source, None)
    await settle(session, [source.model_id], changed_sources=[source_id])


async def _lock(session: AsyncSession, source_id: UUID) -> Source:
    """Hold the source's model, which stands for all its sources, and read the source as it then is."""
    held: set[UUID] = set()
    while (found := await sources.get_source(session, source_id)).model_id not in held:
        # A listing may have moved it to another model while we waited for the lock of the one before.
        await models.lock_models(session, [found.model_id])
        held.add(found.model_id)
    return found
