"""Holders are what refers to models: saved with their places, versioned and told in one way, whoever changes them."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.versions import keep
from modelbus.catalog.domain.access_keys import AccessKey
from modelbus.catalog.domain.chains import Chain
from modelbus.catalog.domain.complexity import ComplexityRouting
from modelbus.catalog.domain.consumers import Consumer
from modelbus.catalog.domain.credentials import Credential
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.splits import Split
from modelbus.catalog.domain.strategies import Strategy
from modelbus.catalog.domain.things import Thing, stamp
from modelbus.catalog.store import access_keys, chains, complexity, consumers, credentials, scopes, splits, strategies

type _Save = Callable[[AsyncSession, Any], Awaitable[None]]

_SAVE: dict[str, tuple[_Save, dict[str, _Save]]] = {
    Chain.KIND: (chains.save_chain, {"steps": chains.save_steps}),
    Split.KIND: (splits.save_split, {"arms": splits.save_arms, "shadows": splits.save_shadows}),
    ComplexityRouting.KIND: (complexity.save_complexity_routing, {"levels": complexity.save_levels}),
    Strategy.KIND: (strategies.save_strategy, {"model_ids": strategies.save_models}),
    Scope.KIND: (scopes.save_scope, {"model_ids": scopes.save_models}),
    Credential.KIND: (credentials.save_credential, {"model_ids": credentials.save_models}),
    Consumer.KIND: (
        consumers.save_consumer,
        {"model_ids": consumers.save_models, "scope_ids": consumers.save_scopes},
    ),
    AccessKey.KIND: (
        access_keys.save_access_key,
        {"model_ids": access_keys.save_models, "scope_ids": access_keys.save_scopes},
    ),
}
"""How each kind writes its own fields, and how the places that each of its other fields holds."""


async def save_changed[T: Thing](session: AsyncSession, before: T, after: T) -> T:
    """Save what a locked holder has become as its next version, and tell it; what is the same is left alone."""
    if after == before:
        return before
    changed = stamp(after)
    save, of_places = _SAVE[changed.KIND]
    await save(session, changed)
    for places, save_places in of_places.items():
        if getattr(changed, places) != getattr(before, places):
            await save_places(session, changed)
    await keep(session, before, changed)
    return changed


async def bring_back[T: Thing](session: AsyncSession, deleted: T) -> T:
    """Save a holder that was deleted, as it is to be from now on, as its next version, and tell it."""
    changed = stamp(deleted)
    save, of_places = _SAVE[changed.KIND]
    await save(session, changed)
    for save_places in of_places.values():
        await save_places(session, changed)
    await keep(session, None, changed)
    return changed
