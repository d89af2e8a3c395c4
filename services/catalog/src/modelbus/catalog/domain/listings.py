"""What a supplier's listing changes: the difference between what it names and what the catalog holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.background import Hint
from modelbus.catalog.domain.models import Model, may_fill, may_tell
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.domain.suppliers import Supplier


@dataclass(frozen=True, slots=True)
class Offer:
    """One model as the listing names it."""

    upstream_name: str
    public_name: str
    told: dict[str, Any]
    """The model's fields that the listing tells; what it does not tell is not in it."""
    cost: dict[str, Any]
    deprecated_at: datetime | None = None
    retires_at: datetime | None = None
    replacement: str | None = None
    cost_origin: str = Origin.LISTING
    background: list[dict[str, Any]] | None = None
    """What metadata files say, as a source keeps it."""
    hints: Mapping[str, Hint] = field(default_factory=dict)
    """What of that counts: the fields that are not in `told`."""


def ids_of(capabilities: Sequence[str] | None, known: Mapping[str, UUID]) -> dict[str, dict[str, Any]] | None:
    """Answer the capabilities as a model holds them; None where the listing tells none, nor that there are none."""
    if capabilities is None:
        return None
    return {str(known[name]): {} for name in sorted(capabilities) if name in known}


@dataclass(slots=True)
class Plan:
    """The difference, in full; empty when the listing says what the catalog holds."""

    new_offers: list[Offer] = field(default_factory=list)
    changed_sources: list[Source] = field(default_factory=list)
    changed_models: list[Model] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    removed: int = 0
    held: int = 0
    unchanged: int = 0

    def models(self, names: Mapping[str, Model]) -> set[UUID]:
        """Answer which existing models the plan touches."""
        touched = {model.id for model in self.changed_models}
        touched |= {source.model_id for source in self.changed_sources}
        touched |= {names[offer.public_name].id for offer in self.new_offers if offer.public_name in names}
        return touched


def plan(supplier: Supplier, offers: Sequence[Offer], held: Sequence[Source], names: Mapping[str, Model]) -> Plan:
    """Compare the listing with the supplier's sources.

    `names` maps every public name of the listing that is taken to the model that has it, by name or as an alias.
    """
    result = Plan()
    by_upstream_name = {source.upstream_name: source for source in held}
    originals = {model.id: model for model in names.values()}
    models = dict(originals)
    for offer in offers:
        _compare(supplier, offer, by_upstream_name.get(offer.upstream_name), names, models, result)
    listed = {offer.upstream_name for offer in offers}
    for source in held:
        if source.upstream_name not in listed:
            _miss(supplier, source, result)
    result.changed_models = [model for model in models.values() if model != originals[model.id]]
    return result


def _compare(
    supplier: Supplier,
    offer: Offer,
    source: Source | None,
    names: Mapping[str, Model],
    models: dict[UUID, Model],
    result: Plan,
) -> None:
    named = names.get(offer.public_name)
    retold = _retell(supplier, offer, models[named.id]) if named else None
    is_retold = named is not None and retold is not None and retold != models[named.id]
    if retold is not None:
        models[retold.id] = retold
    if source is None:
        result.new_offers.append(offer)
        result.added += 1
        return
    # A model that was deleted and made anew under its name gets the offer; else the source stays where it is.
    model_id = named.id if named is not None else source.model_id
    is_set = source.cost_origin == Origin.ADMINISTRATOR
    seen = replace(
        source,
        model_id=model_id,
        missed=0,
        is_listed=True,
        cost=source.cost if is_set else offer.cost,
        cost_origin=source.cost_origin if is_set else offer.cost_origin,
        said=offer.told,
        background=offer.background,
        deprecated_at=offer.deprecated_at,
        retires_at=offer.retires_at,
        replacement=offer.replacement,
    )
    if seen != source:
        result.changed_sources.append(seen)
    if not source.is_listed:
        result.added += 1
    elif seen.told != source.told or is_retold:
        result.changed += 1
    else:
        result.unchanged += 1


def _retell(supplier: Supplier, offer: Offer, model: Model) -> Model:
    own = str(supplier.id)
    told = {name: (value, own) for name, value in offer.told.items() if may_tell(model, name, supplier.id)}
    for name, hint in offer.hints.items():
        if may_fill(model, name, hint.value, supplier.id):
            told[name] = hint.value, hint.by
    if all((getattr(model, name), model.provenance.get(name)) == each for name, each in told.items()):
        return model
    values = {name: value for name, (value, _) in told.items()}
    return replace(model, **values, provenance={**model.provenance, **{name: by for name, (_, by) in told.items()}})


def _miss(supplier: Supplier, source: Source, result: Plan) -> None:
    """Count a missing offer; only an absence that repeats removes it, for listings have gaps."""
    if source.origin == Origin.ADMINISTRATOR or not source.is_listed:
        return
    missed = source.missed + 1
    is_listed = missed < supplier.removal_after
    result.changed_sources.append(replace(source, missed=missed, is_listed=is_listed))
    if is_listed:
        result.held += 1
    else:
        result.removed += 1
