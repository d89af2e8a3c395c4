"""Applying a listing: one transaction, only the differences, whole or not at all."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.sources import new_source
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.listings import Offer, Plan, plan
from modelbus.catalog.domain.models import LISTED_FIELDS, Model
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.store import listings, models, sources, suppliers
from modelbus.chassis import outbox
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CatalogSynced, ListingRefused
from modelbus.contracts.sync import ListedModel, Listing

DEFAULT_PRIORITY = {"direct": 100, "aggregator": 200}
"""A direct supplier goes before an aggregator, which passes on what others serve."""


@dataclass(frozen=True, slots=True)
class _Found:
    plan: Plan
    held: dict[UUID, Source]
    names: dict[str, Model]


async def apply_listing(session: AsyncSession, listing: Listing, revision: int) -> None:
    """Make the catalog say what the listing says, and tell `catalog.synced`; a listing is applied only once.

    `revision` is sync's of the event that announced it: one that comes late never undoes a newer one.
    """
    try:
        supplier = await suppliers.lock_supplier(session, listing.supplier_id)
    except NotFoundError:
        await refuse_listing(session, listing.run_id, listing.supplier_id, "the supplier was deleted meanwhile")
        return
    if await listings.is_applied(session, listing.run_id):
        return
    if revision <= await listings.newest_revision(session, supplier.id):
        await refuse_listing(session, listing.run_id, supplier.id, "a newer listing was applied meanwhile")
        return
    offers = [_offer(supplier, each) for each in listing.models]
    found = await _plan_on_locked_models(session, supplier, offers)
    before = outbox.recorded_so_far(session)
    await _carry_out(session, supplier, found)
    synced = CatalogSynced(
        run_id=listing.run_id,
        supplier_id=supplier.id,
        added=found.plan.added,
        changed=found.plan.changed,
        removed=found.plan.removed,
        held=found.plan.held,
        unchanged=found.plan.unchanged,
        changes=outbox.recorded_so_far(session) - before,
    )
    await listings.insert_applied(
        session, synced, digest=listing.digest, listing_revision=revision, applied_at=datetime.now(UTC)
    )
    await outbox.record(session, synced)


async def refuse_listing(session: AsyncSession, run_id: UUID, supplier_id: UUID, reason: str) -> None:
    """Tell that a listing is not applied."""
    await outbox.record(session, ListingRefused(run_id=run_id, supplier_id=supplier_id, reason=reason))


async def _plan_on_locked_models(session: AsyncSession, supplier: Supplier, offers: list[Offer]) -> _Found:
    """Plan, lock the models that the plan touches, and plan again until nothing unlocked is touched.

    Locking every model of a large listing would write to each row; an unchanged listing locks and writes none.
    """
    locked: set[UUID] = set()
    while True:
        held = await sources.sources_of_supplier(session, supplier.id)
        names = await models.find_models(session, [offer.public_name for offer in offers])
        found = plan(supplier, offers, held, names)
        by_id = {source.id: source for source in held}
        touched = found.models(names) | {by_id[source.id].model_id for source in found.changed_sources}
        if touched <= locked:
            return _Found(found, by_id, names)
        await models.lock_models(session, touched)
        locked |= touched


async def _carry_out(session: AsyncSession, supplier: Supplier, found: _Found) -> None:
    now = datetime.now(UTC)
    made = _new_models(supplier, found, now)
    await models.insert_models(session, list(made.values()))
    await models.save_models(session, [replace(model, updated_at=now) for model in found.plan.changed_models])
    names = {**found.names, **made}
    new = [_source_of(supplier, offer, names[offer.public_name].id, now) for offer in found.plan.new_offers]
    await sources.insert_sources(session, new)
    last_listed_at = await listings.last_applied_at(session, supplier.id) or now
    changed = [_seen(source, found.held[source.id], last_listed_at, now) for source in found.plan.changed_sources]
    await sources.save_sources(session, changed)
    # A first miss changes nothing that anyone is told.
    told = [source for source in changed if _is_told(source, found.held[source.id])]
    touched = {source.model_id for source in [*new, *told]} | {model.id for model in found.plan.changed_models}
    touched |= {found.held[source.id].model_id for source in told}
    await settle(
        session,
        touched,
        changed_models={model.id for model in found.plan.changed_models},
        changed_sources={source.id for source in [*new, *told]},
    )


def _offer(supplier: Supplier, listed: ListedModel) -> Offer:
    told = {name: getattr(listed, name) for name in LISTED_FIELDS if getattr(listed, name) is not None}
    return Offer(
        upstream_name=listed.upstream_name,
        public_name=supplier.public_name(listed.upstream_name),
        told=told,
        cost=listed.cost.model_dump(mode="json"),
    )


def _new_models(supplier: Supplier, found: _Found, now: datetime) -> dict[str, Model]:
    made: dict[str, Model] = {}
    for offer in found.plan.new_offers:
        if offer.public_name in found.names or offer.public_name in made:
            continue
        fields = {"display_name": offer.public_name, "context_window": None, "max_output_tokens": None, **offer.told}
        made[offer.public_name] = Model(
            **fields,
            id=new_id(),
            name=offer.public_name,
            aliases=[],
            description=None,
            is_active=True,
            is_available=False,
            reason=Reason.NO_SOURCE,
            since=now,
            provenance=dict.fromkeys(offer.told, str(supplier.id)),
            created_at=now,
            updated_at=now,
            deleted_at=None,
        )
    return made


def _source_of(supplier: Supplier, offer: Offer, model_id: UUID, now: datetime) -> Source:
    fields = {
        "model_id": model_id,
        "supplier_id": supplier.id,
        "upstream_name": offer.upstream_name,
        "is_enabled": True,
        "priority": DEFAULT_PRIORITY[supplier.kind],
        "weight": 1,
        "cost": offer.cost,
    }
    return new_source(fields, Origin.LISTING, now)


def _seen(source: Source, before: Source, last_listed_at: datetime, now: datetime) -> Source:
    if source.missed == 1:
        return replace(source, last_seen_at=last_listed_at, updated_at=now)
    if source.missed == 0 and before.missed > 0:
        return replace(source, last_seen_at=now, updated_at=now)
    return replace(source, updated_at=now)


def _is_told(source: Source, before: Source) -> bool:
    return (source.is_listed, source.cost, source.model_id) != (before.is_listed, before.cost, before.model_id)
