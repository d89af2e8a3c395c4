"""Choosing among what the table offers; pure but for chance, which is given."""

from collections.abc import Container, Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from random import Random
from typing import NamedTuple
from uuid import UUID

from modelbus.router.balance.standings import Standings
from modelbus.router.cache.records import AccessKey, Chain, ChainStep, Credential, Model, Source, Supplier
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import ModelNotFoundError, ModelNotPermittedError, ModelUnavailableError
from modelbus.router.wire.endpoints import SPOKEN

_UUID_LENGTH = 36


class Offer(NamedTuple):
    """A source that may serve, with what is needed to call it."""

    source: Source
    supplier: Supplier
    credentials: tuple[Credential, ...]
    """Those that the catalog calls usable, by priority."""

    @property
    def protocol(self) -> str:
        """How requests to it are spoken."""
        return self.source.protocol or self.supplier.protocol


def offers_for(table: Table, asked_for: str, caller: AccessKey, chance: Random) -> list[Offer]:
    """Answer who may serve the request, in turn; each source at most once.

    Raises:
        ModelNotFoundError, ModelNotPermittedError, ModelUnavailableError: as `serving` does.
    """
    in_order: dict[UUID, Source] = {}
    for sources in serving(table, asked_for, caller):
        in_order.update((source.id, source) for source in in_turn(sources, chance) if source.id not in in_order)
    return [_offer(table, source) for source in in_order.values()]


def serving(table: Table, asked_for: str, caller: AccessKey) -> list[list[Source]]:
    """Answer the sources that can serve it now, step by step.

    Raises:
        ModelNotFoundError: nothing bears that name.
        ModelNotPermittedError: the key allows nothing of it.
        ModelUnavailableError: nothing of it can serve now; the text says why.
    """
    found = find(table, asked_for)
    steps = steps_of(found)
    permitted = [step for step in steps if caller.permits(step.model_id)]
    if steps and not permitted:
        raise ModelNotPermittedError(asked_for)
    by_step = [sources for step in permitted if (sources := _serving(table, step))]
    if not by_step:
        reasons = [_why_unserved(table, step, is_named=isinstance(found, Chain)) for step in permitted]
        raise ModelUnavailableError(asked_for, "; ".join(reasons) or "it has no steps")
    return by_step


def find(table: Table, asked_for: str) -> Model | Chain:
    """Find what a name means: a model's name, then an alias, an id, and last an active chain.

    Raises:
        ModelNotFoundError: nothing bears that name.
    """
    named = table.models.found("name", asked_for) or table.models.found("alias", asked_for)
    if named:
        return named[0]
    if len(asked_for) == _UUID_LENGTH and (model := table.models.get(_uuid(asked_for))):
        return model
    for chain in table.chains.found("name", asked_for):
        if chain.is_active:
            return chain
    raise ModelNotFoundError(asked_for)


def steps_of(found: Model | Chain) -> tuple[ChainStep, ...]:
    """Answer the steps of a chain; a model is a single step."""
    return found.steps if isinstance(found, Chain) else (ChainStep(found.id),)


def is_served(table: Table, found: Model | Chain, caller: AccessKey) -> bool:
    """Tell whether this key could call it now."""
    return any(caller.permits(step.model_id) and _serving(table, step) for step in steps_of(found))


def why_not(table: Table, source: Source) -> str | None:
    """Say why a source can't serve now; None if it can."""
    supplier = table.suppliers.get(source.supplier_id)
    if not source.is_available:
        return source.reason or "not available"
    if supplier is None or not supplier.is_active:
        return "supplier_disabled"
    if (protocol := source.protocol or supplier.protocol) not in SPOKEN:
        return f"supplier {supplier.name!r} speaks {protocol!r}, which is not routed"
    return None


def in_turn(sources: Iterable[Source], chance: Random) -> Iterator[Source]:
    """Put sources in turn: by priority, and among equals by weighted chance; weight 0 comes last among its equals."""
    for _, equals in groupby(sources, key=lambda source: source.priority):
        tied = list(equals)
        if len(tied) > 1:
            # Efraimidis and Spirakis (2006): the order of u ** (1 / weight) is a weighted draw without replacement.
            tied.sort(
                key=lambda source: chance.random() ** (1 / source.weight) if source.weight > 0 else -1, reverse=True
            )
        yield from tied


def next_credential(offer: Offer, tried: Container[UUID], standings: Standings, now: float) -> Credential | None:
    """Choose the credential to try next: by priority, then the one unused for longest."""
    free = [one for one in offer.credentials if one.id not in tried and not standings.is_out(one, now)]
    return min(free, key=lambda one: (one.priority, standings.last_use(one)), default=None)


def _serving(table: Table, step: ChainStep) -> list[Source]:
    model = table.models.get(step.model_id)
    if model is None or not model.is_available:
        return []
    return [source for source in _sources(table, step) if why_not(table, source) is None]


def _sources(table: Table, step: ChainStep) -> list[Source]:
    sources = table.sources.found("model", step.model_id)
    return [source for source in sources if step.source_id in {None, source.id}]


def _offer(table: Table, source: Source) -> Offer:
    supplier = table.suppliers.get(source.supplier_id)
    assert supplier is not None  # noqa: S101 - why_not has looked
    now = datetime.now(UTC)
    pool = table.credentials.found("supplier", supplier.id)
    usable = tuple(one for one in pool if one.is_usable(source.model_id, now))
    return Offer(source, supplier, usable)


def _why_unserved(table: Table, step: ChainStep, *, is_named: bool) -> str:
    model = table.models.get(step.model_id)
    if model is None:
        return "a step names a model that is gone" if is_named else "deleted"
    if not model.is_available:
        reason = model.reason or "not available"
    else:
        reasons = dict.fromkeys(why_not(table, source) or "" for source in _sources(table, step))
        reason = ", ".join(reasons) or "it has no source"
    return f"{model.name}: {reason}" if is_named else reason


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
