"""What can be done with splits."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.names import claim_names
from modelbus.catalog.actions.references import hold_targets
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.splits import Split
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import splits
from modelbus.chassis.ids import new_id


async def create_split(session: AsyncSession, fields: dict[str, Any]) -> Split:
    """Add a split.

    Raises:
        AlreadyExistsError: a split, a chain, a model or an alias has the name.
        DanglingReferenceError: an arm or a shadow names a model or a source that does not exist.
        WrongSourceError: one names a source of another model.
        WeightlessSplitError, VariantTwiceError: its arms and shadows can't be told apart, or none would be drawn.
    """
    await claim_names(session, [fields["name"]])
    now = datetime.now(UTC)
    split = Split(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None).checked()
    await _hold_targets(session, fields)
    await splits.insert_split(session, split)
    await keep(session, None, split)
    return split


async def change_split(session: AsyncSession, split_id: UUID, fields: dict[str, Any]) -> Split:
    """Change the given fields; a change that changes nothing tells nothing.

    Raises:
        WeightlessSplitError, VariantTwiceError: as when it is made.
    """
    if "name" in fields:
        await claim_names(session, [fields["name"]], holder=split_id)
    # The models before the split, as who replaces a model everywhere takes them.
    await _hold_targets(session, fields)
    split = await splits.lock_split(session, split_id)
    expect(session, split)
    return await save_changed(session, split, replace(split, **fields).checked())


async def delete_split(session: AsyncSession, split_id: UUID) -> None:
    """Take the split out of the catalog; its name may be used again."""
    split = await splits.lock_split(session, split_id)
    expect(session, split)
    await splits.save_split(session, stamp(replace(split, deleted_at=datetime.now(UTC))))
    await keep(session, split, None)


async def _hold_targets(session: AsyncSession, fields: dict[str, Any]) -> None:
    given = {name: fields.get(name, ()) for name in ("arms", "shadows")}
    await hold_targets(
        session, {f"{name}.{at}.": each for name, variants in given.items() for at, each in enumerate(variants)}
    )
