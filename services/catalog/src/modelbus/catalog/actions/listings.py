"""Applying a listing: one transaction, only the differences, whole or not at all."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import batched
from types import MappingProxyType
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.costs import begin_costs, follow_listing
from modelbus.catalog.actions.sources import new_source
from modelbus.catalog.actions.versions import note, write_ahead
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.background import Remark, hints_of, rows_of
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.listings import Offer, Plan, ids_of, plan
from modelbus.catalog.domain.models import CAPABILITIES, LISTED_FIELDS, TOLD_FIELDS, Model, ModelType
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import listings, models, sources, suppliers
from modelbus.catalog.store.capabilities import hold_capabilities
from modelbus.catalog.store.listings import Applied
from modelbus.chassis import outbox
from modelbus.chassis.database import allow_pauses
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CatalogSynced, ListingRefused
from modelbus.contracts.sync import Background, Life, ListedModel, Listing

COMPARED_AT_ONCE = 5000
ADDED_AT_ONCE = 2000
"""Offers of a large listing that are compared, and new models that are written, by one statement."""
DEFAULT_PRIORITY = {"direct": 100, "aggregator": 200}
"""A direct supplier goes before an aggregator, which passes on what others serve."""


@dataclass(frozen=True, slots=True)
class _Found:
    plan: Plan
    held: dict[UUID, Source]
    names: dict[str, Model]

    @property
    def models(self) -> dict[UUID, Model]:
        return {model.id: model for model in self.names.values()}


async def apply_listing(session: AsyncSession, listing: Listing, revision: int, epoch: UUID | None = None) -> None:
    """Make the catalog say what the listing says, and tell `catalog.synced`; a listing is applied only once.

    `revision` and `epoch` are sync's of the event that announced it: one that comes late never undoes a newer one.
    """
    await allow_pauses(session)
    await listings.plan_anew(session)
    try:
        supplier = await suppliers.lock_supplier(session, listing.supplier_id)
    except NotFoundError:
        await refuse_listing(session, listing.run_id, listing.supplier_id, "the supplier was deleted meanwhile")
        return
    if await listings.is_applied(session, listing.run_id):
        return
    if await listings.is_overtaken(session, supplier.id, revision, epoch):
        await refuse_listing(session, listing.run_id, supplier.id, "a newer listing was applied meanwhile")
        return
    found = await _plan_on_locked_models(session, supplier, listing)
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
    applied = Applied(listing.digest, revision, epoch, datetime.now(UTC))
    await listings.insert_applied(session, synced, applied)
    await outbox.record(session, synced)


async def refuse_listing(session: AsyncSession, run_id: UUID, supplier_id: UUID, reason: str) -> None:
    """Tell that a listing is not applied, once; one that was applied stays so, however often it is announced."""
    if await listings.is_applied(session, run_id):
        return
    if await listings.is_refused_first(session, run_id, datetime.now(UTC)):
        await outbox.record(session, ListingRefused(run_id=run_id, supplier_id=supplier_id, reason=reason))


async def _plan_on_locked_models(session: AsyncSession, supplier: Supplier, listing: Listing) -> _Found:
    """Plan, lock the models that the plan touches, and plan again until nothing unlocked is touched.

    Locking every model of a large listing would write to each row; an unchanged listing locks and writes none.
    """
    differing: set[str] = set()
    known = await hold_capabilities(session, _abilities_in(listing))
    remarks = remarks_of(listing.background, known)
    for some in batched(listing.models, COMPARED_AT_ONCE):
        differing |= await listings.differing(session, supplier, some, known, remarks)
    offers = [
        offer_of(supplier, each, known, remarks.get(each.upstream_name, ()))
        for each in listing.models
        if each.upstream_name in differing
    ]
    listed = [*(each.upstream_name for each in listing.models), *listing.ignored]
    locked: set[UUID] = set()
    while True:
        held = await sources.sources_named(session, supplier.id, differing) if differing else []
        held += await sources.sources_missing(session, supplier.id, listed)
        names = await models.find_models(session, [offer.public_name for offer in offers]) if offers else {}
        found = plan(supplier, offers, held, names)
        found.unchanged += len(listing.models) - len(offers)
        by_id = {source.id: source for source in held}
        touched = found.models(names) | {by_id[source.id].model_id for source in found.changed_sources}
        if touched <= locked:
            return _Found(found, by_id, names)
        await models.lock_models(session, touched)
        locked |= touched


async def _carry_out(session: AsyncSession, supplier: Supplier, found: _Found) -> None:
    now = datetime.now(UTC)
    last_listed_at = await listings.last_applied_at(session, supplier.id) or now
    changed = [_seen(source, found.held[source.id], last_listed_at, now) for source in found.plan.changed_sources]
    # A first miss changes nothing that anyone is told.
    told = [source for source in changed if _is_told(source, found.held[source.id])]
    told = [_stamped(source, found.held[source.id]) for source in await follow_listing(session, found.held, told)]
    untold = [source for source in changed if not _is_told(source, found.held[source.id])]
    await sources.save_sources(session, untold)
    retold = [stamp(model) for model in found.plan.changed_models]
    joining = [offer for offer in found.plan.new_offers if offer.public_name in found.names]
    joined = [_source_of(supplier, offer, found.names[offer.public_name].id, now) for offer in joining]
    _note_all(session, found, retold, told, joined)
    touched = {source.model_id for source in [*told, *joined]} | {model.id for model in retold}
    touched |= {found.held[source.id].model_id for source in told}
    await settle(session, touched, unsaved_models=retold, unsaved_sources=[*told, *joined])
    await begin_costs(session, joined)
    await _add_models(session, supplier, found, now)


def _note_all(
    session: AsyncSession, found: _Found, retold: list[Model], told: list[Source], made: list[Source]
) -> None:
    originals = found.models
    for model in retold:
        note(session, originals[model.id], model)
    for source in told:
        note(session, found.held[source.id], source)
    for source in made:
        note(session, None, source)


async def _add_models(session: AsyncSession, supplier: Supplier, found: _Found, now: datetime) -> None:
    """Add the models that nobody offered before, some at a time, so that memory need not hold all of them."""
    offers: dict[str, list[Offer]] = defaultdict(list)
    for offer in found.plan.new_offers:
        if offer.public_name not in found.names:
            offers[offer.public_name].append(offer)
    for some in batched(offers.values(), ADDED_AT_ONCE):
        made = [_new_model(supplier, same[0], now) for same in some]
        offered = [
            _source_of(supplier, offer, model.id, now) for model, same in zip(made, some, strict=True) for offer in same
        ]
        for model in made:
            note(session, None, model)
        for source in offered:
            note(session, None, source)
        await settle(session, (), unsaved_models=made, unsaved_sources=offered)
        await begin_costs(session, offered)
        await write_ahead(session)


def remarks_of(background: Sequence[Background], known: Mapping[str, UUID]) -> dict[str, list[Remark]]:
    """Read what metadata files say of each upstream name; `known` are the catalog's capabilities by name."""
    remarks: dict[str, list[Remark]] = defaultdict(list)
    for each in background:
        told = each.model_dump(mode="json", include={*TOLD_FIELDS}, exclude_none=True)
        if (capabilities := ids_of(each.capabilities, known)) is not None:
            told[CAPABILITIES] = capabilities
        remarks[each.upstream_name].append(Remark(each.file, each.entry, each.is_exact, told, each.tells_cost))
    return remarks


def _abilities_in(listing: Listing) -> set[str]:
    listed = {name for each in listing.models for name in each.capabilities or ()}
    return listed | {name for each in listing.background for name in each.capabilities or ()}


def offer_of(
    supplier: Supplier,
    listed: ListedModel,
    known: Mapping[str, UUID] = MappingProxyType({}),
    remarks: Sequence[Remark] = (),
) -> Offer:
    """Read an entry of a listing as the supplier's offer; `known` are the catalog's capabilities by name."""
    told = {name: getattr(listed, name) for name in LISTED_FIELDS if getattr(listed, name) is not None}
    life = listed.life or Life()
    if (capabilities := ids_of(listed.capabilities, known)) is not None:
        told[CAPABILITIES] = capabilities
    return Offer(
        upstream_name=listed.upstream_name,
        public_name=supplier.public_name(listed.upstream_name),
        told=told,
        cost=listed.cost.model_dump(mode="json"),
        deprecated_at=life.deprecated_at,
        retires_at=life.retires_at,
        replacement=life.replacement,
        cost_origin=Origin.METADATA if any(remark.tells_cost for remark in remarks) else Origin.LISTING,
        background=rows_of(remarks),
        hints=hints_of(remarks, told, supplier.id),
    )


def _new_model(supplier: Supplier, offer: Offer, now: datetime) -> Model:
    fields = {
        "display_name": offer.public_name,
        "model_type": ModelType.LANGUAGE,
        "context_window": None,
        "max_output_tokens": None,
        **offer.told,
        **{name: hint.value for name, hint in offer.hints.items()},
    }
    return Model(
        **fields,
        id=new_id(),
        name=offer.public_name,
        aliases=[],
        description=None,
        is_active=True,
        is_available=False,
        reason=Reason.NO_SOURCE,
        since=now,
        provenance={
            **dict.fromkeys(offer.told, str(supplier.id)),
            **{name: hint.by for name, hint in offer.hints.items()},
        },
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )


def _source_of(supplier: Supplier, offer: Offer, model_id: UUID, now: datetime) -> Source:
    fields = {
        "model_id": model_id,
        "supplier_id": supplier.id,
        "upstream_name": offer.upstream_name,
        "is_enabled": True,
        "priority": DEFAULT_PRIORITY[supplier.kind],
        "weight": 1,
        "cost": offer.cost,
        "cost_origin": offer.cost_origin,
        "said": offer.told,
        "background": offer.background,
        "deprecated_at": offer.deprecated_at,
        "retires_at": offer.retires_at,
        "replacement": offer.replacement,
    }
    return new_source(fields, Origin.LISTING, now)


def _seen(source: Source, before: Source, last_listed_at: datetime, now: datetime) -> Source:
    if source.missed == 1:
        return replace(source, last_seen_at=last_listed_at, updated_at=now)
    if source.missed == 0 and before.missed > 0:
        return replace(source, last_seen_at=now, updated_at=now)
    return replace(source, updated_at=now)


def _stamped(source: Source, before: Source) -> Source:
    """Count a change of what an administrator could change too; that it comes and goes is no configuration."""
    is_same = (source.model_id, source.cost, source.cost_origin) == (before.model_id, before.cost, before.cost_origin)
    return source if is_same else stamp(source)


def _is_told(source: Source, before: Source) -> bool:
    return source.told != before.told
