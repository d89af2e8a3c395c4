"""A catalog begins with some capabilities and tags; what administrators made of them is left alone for ever."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.tagging import retag_all
from modelbus.catalog.actions.versions import keep
from modelbus.catalog.domain.default_labels import default_capabilities, default_tags
from modelbus.catalog.domain.tag_rules import HasCapability, read
from modelbus.catalog.domain.tags import Tag
from modelbus.catalog.store import capabilities, tags


async def lay_default_labels(session: AsyncSession) -> None:
    """Add the default capabilities and tags that have never been here; may be done as often as one likes.

    One that was deleted or renamed has been here, as its id tells, and does not come back.
    """
    # Replicas that start together take turns.
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("catalog.default_labels"))))
    now = datetime.now(UTC)
    await _lay_capabilities(session, now)
    laid = await _lay_tags(session, now)
    if any(tag.rule is not None for tag in laid):
        await retag_all(session)


async def _lay_capabilities(session: AsyncSession, now: datetime) -> None:
    wanted = default_capabilities(now)
    known = await capabilities.ids_ever_used(session, [each.id for each in wanted])
    for each in wanted:
        if each.id not in known and not await capabilities.is_name_taken(session, each.name):
            await capabilities.insert_capability(session, each)
            await keep(session, None, each)


async def _lay_tags(session: AsyncSession, now: datetime) -> list[Tag]:
    wanted = default_tags(now)
    known = await tags.ids_ever_used(session, [each.id for each in wanted])
    laid = [each for each in wanted if each.id not in known and not await tags.is_name_taken(session, each.name)]
    laid = [each for each in laid if await _can_be_asked(session, each)]
    for each in laid:
        await tags.insert_tag(session, each)
        await keep(session, None, each)
    return laid


async def _can_be_asked(session: AsyncSession, tag: Tag) -> bool:
    """Tell whether what the tag's rule asks for is there: an administrator may have deleted that capability."""
    rule = None if tag.rule is None else read(tag.rule)
    return not isinstance(rule, HasCapability) or await capabilities.hold_capability(session, rule.capability_id)
