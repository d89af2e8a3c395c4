"""Importing what older systems say of models, chains and complexity: matched to what is here, and done twice alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import imported_models, imported_routing
from modelbus.catalog.actions.rehearsal import rehearsed
from modelbus.catalog.domain.errors import EntryMalformedError
from modelbus.catalog.domain.import_files import RawEntry
from modelbus.catalog.domain.imports import Line, Outcome
from modelbus.catalog.domain.older_shapes import ChainEntry, Entry, ModelEntry, RoutingEntry, read_entry
from modelbus.catalog.store.matching import read_names
from modelbus.chassis.database import allow_pauses


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an import is to be done."""

    dry_run: bool = False
    """Only report what would come of it."""
    create_missing: bool = False
    """Make models and sources of suppliers that exist, where they are not there."""
    leave_out: bool = False
    """Make chains and levels without what is not there, instead of not making them."""


async def import_entries(session: AsyncSession, entries: Sequence[RawEntry], wishes: Wishes) -> list[Line]:
    """Do what the entries say, models first, as chains may name what they make; answer what came of each.

    An entry that can't be done is reported and stops no other. The same file a second time changes nothing.
    """
    lines: dict[str, Line] = {}
    read: dict[str, tuple[RawEntry, Entry]] = {}
    for raw in entries:
        try:
            read[raw.place] = raw, read_entry(raw.shape, raw.told)
        except EntryMalformedError as error:
            lines[raw.place] = Line(raw.shape, raw.place, "", Outcome.REFUSED, str(error))
    await allow_pauses(session)
    async with rehearsed(session, only=wishes.dry_run):
        models = [(raw, entry) for raw, entry in read.values() if isinstance(entry, ModelEntry)]
        names = await read_names(session)
        for line in await imported_models.import_models(session, names, models, create=wishes.create_missing):
            lines[line.place] = line
        if any(line.outcome is Outcome.CREATED for line in lines.values()):
            names = await read_names(session)
        routing = imported_routing.Import(session, names, leave_out=wishes.leave_out)
        for raw, entry in read.values():
            if isinstance(entry, ChainEntry):
                lines[raw.place] = await routing.bring_chain(raw, entry)
            elif isinstance(entry, RoutingEntry):
                lines[raw.place] = await routing.bring_levels(raw, entry)
    return [lines[raw.place] for raw in entries]
