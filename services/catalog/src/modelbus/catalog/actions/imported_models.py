"""Importing models: what an older table says of a model becomes the administrator's word on the model that it meant."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.names import claim_names
from modelbus.catalog.actions.prices import set_price
from modelbus.catalog.actions.sources import new_source
from modelbus.catalog.actions.versions import note
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.import_files import RawEntry
from modelbus.catalog.domain.imports import Line, Outcome
from modelbus.catalog.domain.matching import Match, Names
from modelbus.catalog.domain.models import LISTED_FIELDS, Model, ModelType
from modelbus.catalog.domain.older_shapes import ModelEntry
from modelbus.catalog.domain.prices import UNKNOWN, Amounts
from modelbus.catalog.domain.provenance import ADMINISTRATOR
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import capabilities, models, prices, suppliers
from modelbus.catalog.store.prices import CHARGES
from modelbus.chassis.ids import new_id

type Entries = Sequence[tuple[RawEntry, ModelEntry]]

PRIORITY = 100


@dataclass(slots=True)
class _Draft:
    """What the models will be once every entry has had its say."""

    before: dict[UUID, Model]
    after: dict[UUID, Model]
    capability_ids: dict[str, UUID]
    owners: dict[str, Supplier]
    """The supplier that each entry names, by the entry's place; for those that are to be made."""
    charges: dict[UUID, Amounts]
    """What each model is charged now, and then what it will be."""
    sources: list[Source] = field(default_factory=list)
    charged: set[UUID] = field(default_factory=set)
    """The models whose charge changes."""

    def tell(self, model_id: UUID, entry: ModelEntry) -> bool:
        """Set what the entry says of the model; answer whether that changes it."""
        model = self.after[model_id]
        told = dict.fromkeys(sorted(LISTED_FIELDS & entry.fields.keys()), ADMINISTRATOR)
        known = sorted(str(self.capability_ids[name]) for name in entry.capabilities if name in self.capability_ids)
        self.after[model_id] = replace(
            model,
            **entry.fields,
            provenance={**model.provenance, **told},
            capabilities={**{key: {} for key in known}, **model.capabilities},
        )
        return self._charge(model_id, entry) or self.after[model_id] != model

    def _charge(self, model_id: UUID, entry: ModelEntry) -> bool:
        present = self.charges.get(model_id, UNKNOWN)
        self.charges[model_id] = Amounts.read({**present.told(), **entry.charge})
        if self.charges[model_id] == present:
            return False
        self.charged.add(model_id)
        return True

    def named(self, name: str) -> Model | None:
        """Find a model of that public name."""
        return next((model for model in self.after.values() if model.name == name), None)


async def import_models(session: AsyncSession, names: Names, entries: Entries, *, create: bool) -> list[Line]:
    """Set what the entries say, a fixed number of statements for all of them; answer what came of each.

    With `create`, what a supplier is not known to offer is added as a source by hand.
    """
    # Beside the event loop: to find near names takes a tenth of a millisecond for each that means nothing.
    matches = await asyncio.to_thread(lambda: {raw.place: names.find(entry.named) for raw, entry in entries})
    lacking = {raw.place: entry for raw, entry in entries if create and not matches[raw.place].found}
    owners = await _owners(session, names, lacking)
    wanted = [owners[place].public_name(lacking[place].named.model) for place in owners]
    present = {model.id for model in (await models.find_models(session, wanted)).values()}
    touched = present | {match.found[0].model_id for match in matches.values() if match.is_clear}
    held = {key: model for key, model in (await models.lock_models(session, touched)).items() if not model.deleted_at}
    known = {capability.name: capability.id for capability in await capabilities.every_capability(session)}
    draft = _Draft(held, dict(held), known, owners, await _charges(session, held))
    lines = [await _import(session, draft, raw, entry, matches[raw.place]) for raw, entry in entries]
    await _save(session, draft)
    for model_id in sorted(draft.charged):
        await set_price(session, CHARGES, model_id, draft.charges[model_id])
    return lines


def missed(raw: RawEntry, entry: str, match: Match) -> Line:
    """Report what means nothing, or several things."""
    outcome = Outcome.AMBIGUOUS if match.found else Outcome.UNMATCHED
    return Line(raw.shape, raw.place, entry, outcome, match.reason, near=match.near)


async def _charges(session: AsyncSession, held: Collection[UUID]) -> dict[UUID, Amounts]:
    schedules = await prices.schedules_of(session, CHARGES, held)
    now = datetime.now(UTC)
    return {key: period.amounts for key, each in schedules.items() if (period := each.at(now).in_force) is not None}


async def _owners(session: AsyncSession, names: Names, lacking: dict[str, ModelEntry]) -> dict[str, Supplier]:
    called = {place: names.supplier_ids(entry.named.vendor or "") for place, entry in lacking.items()}
    clear = {place: next(iter(ids)) for place, ids in called.items() if len(ids) == 1}
    # Suppliers before models, and in order of id, as everywhere.
    held = {
        supplier_id: await suppliers.lock_supplier(session, supplier_id) for supplier_id in sorted({*clear.values()})
    }
    return {place: held[supplier_id] for place, supplier_id in clear.items()}


async def _import(session: AsyncSession, draft: _Draft, raw: RawEntry, entry: ModelEntry, match: Match) -> Line:
    if match.is_clear and match.found[0].model_id in draft.before:
        return _set(draft, raw, entry, match)
    if raw.place in draft.owners:
        return await _create(session, draft, raw, entry)
    return missed(raw, str(entry.named), match)


def _set(draft: _Draft, raw: RawEntry, entry: ModelEntry, match: Match) -> Line:
    known = match.found[0]
    outcome = Outcome.CHANGED if draft.tell(known.model_id, entry) else Outcome.UNCHANGED
    unknown = [name for name in entry.capabilities if name not in draft.capability_ids]
    message = f"the catalog has no capability {', '.join(map(repr, unknown))}" if unknown else ""
    ids = tuple(each for each in (known.model_id, known.source_id) if each is not None)
    return Line(raw.shape, raw.place, str(entry.named), outcome, message, ids)


async def _create(session: AsyncSession, draft: _Draft, raw: RawEntry, entry: ModelEntry) -> Line:
    supplier, now = draft.owners[raw.place], datetime.now(UTC)
    name = supplier.public_name(entry.named.model)
    model = draft.named(name)
    if model is None:
        try:
            await claim_names(session, [name])
        except AlreadyExistsError as error:
            return Line(raw.shape, raw.place, str(entry.named), Outcome.REFUSED, str(error))
        model = _unserved(name, now)
        draft.after[model.id] = model
    offered = {"model_id": model.id, "supplier_id": supplier.id, "upstream_name": entry.named.model}
    set_by_hand = {"is_enabled": True, "priority": PRIORITY, "weight": 1, "cost": {}}
    source = new_source({**offered, **set_by_hand}, Origin.ADMINISTRATOR, now)
    draft.sources.append(source)
    draft.tell(model.id, entry)
    return Line(raw.shape, raw.place, str(entry.named), Outcome.CREATED, target_ids=(model.id, source.id))


def _unserved(name: str, now: datetime) -> Model:
    return Model(
        id=new_id(),
        name=name,
        aliases=[],
        display_name=name,
        description=None,
        model_type=ModelType.LANGUAGE,
        context_window=None,
        max_output_tokens=None,
        is_active=True,
        is_available=False,
        reason=Reason.NO_SOURCE,
        since=now,
        provenance={},
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )


async def _save(session: AsyncSession, draft: _Draft) -> None:
    told = {key: model for key, model in draft.after.items() if model != draft.before.get(key)}
    changed = {key: stamp(model) for key, model in told.items() if key in draft.before}
    made = [model for key, model in told.items() if key not in draft.before]
    for key, model in changed.items():
        note(session, draft.before[key], model)
    for model in made:
        note(session, None, model)
    for source in draft.sources:
        note(session, None, source)
    touched = {*changed, *(source.model_id for source in draft.sources if source.model_id in draft.before)}
    await settle(session, touched, unsaved_models=[*changed.values(), *made], unsaved_sources=draft.sources)
