"""Ignore rules are written, and tried before that on what the catalog has applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.ids import new_id
from modelbus.sync.domain.errors import IgnoreRuleExistsError
from modelbus.sync.domain.ignore_rules import IgnoreRule, Ignoring
from modelbus.sync.store import ignore_rules
from modelbus.sync.store.known_prices import applied_prices


@dataclass(frozen=True, slots=True)
class Left:
    """A model that a pattern would leave out."""

    supplier_id: UUID
    upstream_name: str


async def create_rule(
    session: AsyncSession, supplier_id: UUID | None, pattern: str, note: str | None, by: str
) -> IgnoreRule:
    """Ignore the pattern from the next listings on.

    Raises:
        IgnoreRuleExistsError: it is ignored already, for the same suppliers.
    """
    rule = IgnoreRule(new_id(), supplier_id, pattern, note, by, datetime.now(UTC))
    if not await ignore_rules.insert_rule(session, rule):
        raise IgnoreRuleExistsError(pattern)
    return rule


async def preview_rule(session: AsyncSession, supplier_id: UUID | None, pattern: str) -> Sequence[Left]:
    """Answer what the pattern matches in the listings that were applied last, in order of supplier and name."""
    wanted = Ignoring([pattern])
    return [
        Left(teller_id, model.upstream_name)
        async for teller_id, models in applied_prices(session)
        if supplier_id in {None, teller_id}
        for model in models
        if model.upstream_name in wanted
    ]
