"""Prices of a listing are compared with what is known; those in doubt are held until an administrator takes them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.ids import new_id
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import Background, HeldPrices, ListedModel, Listing
from modelbus.sync.actions.listings import Arrival, normalise, tell_listing
from modelbus.sync.domain.errors import ListingOutdatedError, NothingHeldError
from modelbus.sync.domain.price_review import (
    PER_TOKENS,
    Amounts,
    unit_shift,
    why_jump,
    why_unlike_others,
    why_wrong_unit,
)
from modelbus.sync.domain.prices import Unit, moved
from modelbus.sync.domain.runs import Cause, Run
from modelbus.sync.store import listings, runs
from modelbus.sync.store.known_prices import Priced, applied_prices, newest_applied

type PublicName = Callable[[UUID, str], str | None]
"""Answers under which name a supplier's model is served; None where the supplier is not known any more."""

UNKNOWN = CostPrices()
_PRICES = (*PER_TOKENS, "request", "image")


@dataclass(frozen=True, slots=True)
class Known:
    """What models of a listing are known to cost, by their upstream names."""

    before: Mapping[str, CostPrices] = field(default_factory=dict)
    """By the supplier's own last listing that was applied."""
    elsewhere: Mapping[str, Amounts] = field(default_factory=dict)
    """By those of the other suppliers, the middle of them where they differ."""


async def known_prices(
    session: AsyncSession, supplier_id: UUID, upstream_names: Iterable[str], public_name: PublicName
) -> Known:
    """Read what is known of the models; those of two suppliers are the same where their public names are."""
    wanted = {public_name(supplier_id, name): name for name in upstream_names}
    before: dict[str, CostPrices] = {}
    others: dict[str, dict[str, list[Decimal]]] = defaultdict(lambda: defaultdict(list))

    def note(teller_id: UUID, models: list[Priced]) -> None:
        for model in models:
            name = wanted.get(public_name(teller_id, model.upstream_name))
            if name is None:
                continue
            cost = CostPrices.model_validate(model.cost)
            if teller_id == supplier_id:
                before[name] = cost
                continue
            for price, amount in amounts_of(cost).items():
                others[name][price].append(amount)

    async for teller_id, models in applied_prices(session):
        # A hundred thousand models must not hold up everything else in this process.
        await asyncio.to_thread(note, teller_id, models)
    elsewhere = {name: {price: median(found) for price, found in prices.items()} for name, prices in others.items()}
    return Known(before, elsewhere)


def review_prices(models: list[ListedModel], known: Known, factor: float) -> list[ListedModel]:
    """Hold the prices that are in doubt; what was known before stays in their place.

    Prices that came without a unit are in doubt already, and lose it where the known ones show the unit.
    """
    if all(model.held is None and known.before.get(model.upstream_name, UNKNOWN) == model.cost for model in models):
        return models  # As nearly every time; it takes a tenth of the work.
    before = {name: amounts for name, cost in known.before.items() if (amounts := amounts_of(cost))}
    expected = {**known.elsewhere, **before}
    sure = {model.upstream_name: amounts_of(model.cost) for model in models if model.held is None}
    unsure = {model.upstream_name: amounts_of(model.held.listed) for model in models if model.held is not None}
    # A single model may have jumped; of prices without a unit it is the only witness.
    shift, unit = unit_shift(sure, expected), unit_shift(unsure, expected, models=1)
    return [
        _review(model, known, factor, shift) if model.held is None else _review_unsure(model, known, factor, unit)
        for model in models
    ]


def accept(model: ListedModel, places: int = 0) -> ListedModel:
    """Take the prices that are held; their points move so many places to the right."""
    if model.held is None:
        return model
    return model.model_copy(update={"cost": _shifted(model.held.listed, places), "held": None})


async def accept_prices(session: AsyncSession, run_id: UUID, names: Collection[str] | None, unit: Unit) -> UUID:
    """Take prices that the listing of a run holds, all or those of the named models; answer the run that tells so.

    Raises:
        RunNotFoundError, ListingNotKeptError: there is no such listing.
        ListingOutdatedError: the catalog has another one of the supplier by now.
        NothingHeldError: nothing is held for any of the models.
    """
    reviewed = await runs.find_run(session, run_id)
    listing = Listing.model_validate_json(await listings.read_listing(session, run_id))
    newest = await newest_applied(session, reviewed.supplier_id)
    if newest != run_id:
        raise ListingOutdatedError(run_id, newest)
    taken = [
        accept(model, unit) if names is None or model.upstream_name in names else model for model in listing.models
    ]
    if taken == listing.models:
        raise NothingHeldError(run_id)
    run = Run(
        id=new_id(),
        supplier_id=reviewed.supplier_id,
        supplier_name=reviewed.supplier_name,
        cause=Cause.ADMINISTRATOR,
        requested_at=datetime.now(UTC),
    )
    told = normalise(run, taken, listing.left_out, listing.ignored, _without_cost(listing, taken))
    arrival = Arrival(
        told,
        left_out=reviewed.left_out_count or 0,
        attempts=0,
        declared=reviewed.declared_count,
        # What the supplier answered is what it answered then, so it is known by the same.
        validators=reviewed.validators,
        mark=reviewed.mark,
    )
    fetched = run.fetch(arrival.findings, attempts=0)
    await runs.insert_run(session, fetched)
    await tell_listing(session, fetched, told)
    return run.id


async def list_held(session: AsyncSession, run_id: UUID) -> list[ListedModel]:
    """List the models of a run's listing whose prices are held, in order of name.

    Raises:
        ListingNotKeptError: there is no listing any more, or never was.
    """
    listing = Listing.model_validate_json(await listings.read_listing(session, run_id))
    return [model for model in listing.models if model.held is not None]


def _without_cost(listing: Listing, taken: list[ListedModel]) -> list[Background]:
    """Answer what is said beside the listing; the prices that were taken come from no file any more."""
    listed = {model.upstream_name for model, before in zip(taken, listing.models, strict=True) if model != before}
    return [
        each.model_copy(update={"tells_cost": False}) if each.upstream_name in listed else each
        for each in listing.background
    ]


def amounts_of(cost: CostPrices) -> dict[str, Decimal]:
    """Answer the prices that are known; none where the supplier decides per call."""
    if cost.is_dynamic:
        return {}
    return {name: amount for name in _PRICES if (amount := getattr(cost, name)) is not None}


def _review(model: ListedModel, known: Known, factor: float, shift: int | None) -> ListedModel:
    before = known.before.get(model.upstream_name, UNKNOWN)
    elsewhere = known.elsewhere.get(model.upstream_name, {})
    amounts = amounts_of(model.cost)
    if before == model.cost or not amounts:
        return model
    reason = _why_doubted(amounts, before, elsewhere, factor, shift)
    if reason is None:
        return model
    held = HeldPrices(listed=model.cost, reason=reason)
    return model.model_copy(update={"cost": before, "held": held})


def _why_doubted(
    amounts: Amounts, before: CostPrices, elsewhere: Amounts, factor: float, shift: int | None
) -> str | None:
    if shift and any(amounts.get(price) for price in PER_TOKENS):
        return why_wrong_unit(shift)
    if before != UNKNOWN:
        return why_jump(amounts_of(before), amounts, factor)
    # New, or held ever since it came: what was not believed then must not be believed by being listed again.
    return why_unlike_others(elsewhere, amounts, factor)


def _review_unsure(model: ListedModel, known: Known, factor: float, unit: int | None) -> ListedModel:
    if unit is not None:
        return _review(accept(model, unit), known, factor, 0)
    return model.model_copy(update={"cost": known.before.get(model.upstream_name, UNKNOWN)})


def _shifted(cost: CostPrices, places: int) -> CostPrices:
    if not places:
        return cost
    prices = {name: moved(amount, places) for name in PER_TOKENS if (amount := getattr(cost, name)) is not None}
    return cost.model_copy(update=prices)
