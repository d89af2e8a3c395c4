"""What a holder may use is checked when it is named: it exists, and stays while the change is under way."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.domain.errors import DanglingReferenceError
from modelbus.catalog.store import allowances


async def hold_allowed(session: AsyncSession, fields: Mapping[str, Any]) -> None:
    """Hold the models and scopes that the fields name.

    Raises:
        DanglingReferenceError: one of them does not exist, or was deleted.
    """
    await hold_models(session, each_of("model_ids", fields.get("model_ids") or []))
    named = each_of("scope_ids", fields.get("scope_ids") or [])
    if not named:
        return
    held = await allowances.hold_scopes(session, set(named.values()))
    for field, scope_id in named.items():
        if scope_id not in held:
            raise DanglingReferenceError(field, "scope", scope_id)
