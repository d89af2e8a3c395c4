"""Ignore rules in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.errors import IgnoreRuleNotFoundError
from modelbus.sync.domain.ignore_rules import IgnoreRule, Ignoring
from modelbus.sync.store.tables import ignore_rules


async def insert_rule(session: AsyncSession, rule: IgnoreRule) -> bool:
    """Insert the rule; answer False when the pattern is there already."""
    inserted = insert(ignore_rules).values(asdict(rule)).on_conflict_do_nothing().returning(ignore_rules.c.id)
    return (await session.execute(inserted)).one_or_none() is not None


async def find_rule(session: AsyncSession, rule_id: UUID) -> IgnoreRule:
    """Answer the rule.

    Raises:
        IgnoreRuleNotFoundError: there is none.
    """
    row = (await session.execute(sa.select(ignore_rules).where(ignore_rules.c.id == rule_id))).one_or_none()
    if row is None:
        raise IgnoreRuleNotFoundError(rule_id)
    return IgnoreRule(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def list_rules(session: AsyncSession, supplier_id: UUID | None = None) -> Sequence[IgnoreRule]:
    """List rules, oldest first; with a supplier those that hold for it, which are its own and those for all."""
    query = sa.select(ignore_rules).order_by(ignore_rules.c.id)
    if supplier_id is not None:
        query = query.where(ignore_rules.c.supplier_id.is_(None) | (ignore_rules.c.supplier_id == supplier_id))
    return [IgnoreRule(**row._mapping) for row in await session.execute(query)]  # noqa: SLF001 - as above


async def delete_rule(session: AsyncSession, rule_id: UUID) -> None:
    """Delete the rule.

    Raises:
        IgnoreRuleNotFoundError: there is none.
    """
    deleted = sa.delete(ignore_rules).where(ignore_rules.c.id == rule_id).returning(ignore_rules.c.id)
    if (await session.execute(deleted)).one_or_none() is None:
        raise IgnoreRuleNotFoundError(rule_id)


async def ignoring(session: AsyncSession, supplier_id: UUID) -> Ignoring:
    """Answer what is ignored of the supplier's listings."""
    return Ignoring(rule.pattern for rule in await list_rules(session, supplier_id))
