"""Importing chains and complexity routing: names become references, and what means nothing is reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import chains as chain_actions
from modelbus.catalog.actions import complexity as complexity_actions
from modelbus.catalog.domain.chains import Target
from modelbus.catalog.domain.complexity import LevelModels
from modelbus.catalog.domain.errors import Refusal
from modelbus.catalog.domain.import_files import RawEntry
from modelbus.catalog.domain.imports import Line, Outcome
from modelbus.catalog.domain.matching import Match, Named, Names
from modelbus.catalog.domain.older_shapes import ChainEntry, RoutingEntry, StepEntry
from modelbus.catalog.domain.things import Thing
from modelbus.catalog.store import chains, complexity


@dataclass(frozen=True, slots=True)
class Import:
    """One import of routing configuration: by which names, and what to do about those that mean nothing."""

    session: AsyncSession
    names: Names
    leave_out: bool

    async def bring_chain(self, raw: RawEntry, entry: ChainEntry) -> Line:
        """Make or change the chain of that name; a step that names a supplier goes to exactly that supplier's source.

        Steps that can't serve just now are taken as they are: what ran elsewhere is moved first and mended then.
        """
        found = [(step, self.names.find(step.named)) for step in entry.steps]
        missed = [(step.named, match) for step, match in found if not match.is_clear]
        targets = [_target(step, match) for step, match in found if match.is_clear]
        # Older chains name one model under two names; the first place counts.
        steps = list({target.place: target for target in reversed(targets)}.values())[::-1]
        if not steps or (missed and not self.leave_out):
            return _missed(raw, entry.name, missed)
        fields = {"description": None, "is_active": True, **entry.fields, "name": entry.name, "steps": steps}
        before = await chains.find_chain(self.session, entry.name)
        try:
            if before is None:
                after: Thing = await chain_actions.create_chain(self.session, fields, force=True)
            else:
                after = await chain_actions.change_chain(
                    self.session, before.id, {**entry.fields, "steps": steps}, force=True
                )
        except Refusal as error:
            return Line(raw.shape, raw.place, entry.name, Outcome.REFUSED, str(error))
        return _done(raw, entry.name, before, after, missed)

    async def bring_levels(self, raw: RawEntry, entry: RoutingEntry) -> Line:
        """Make or change the complexity routing of that name; levels refer to models, whichever source serves them."""
        found = {level: [(named, self.names.find(named)) for named in served] for level, served in entry.levels.items()}
        missed = [(named, match) for served in found.values() for named, match in served if not match.is_clear]
        levels = [
            LevelModels(
                level, tuple(dict.fromkeys(match.found[0].model_id for _named, match in served if match.is_clear))
            )
            for level, served in found.items()
        ]
        levels = [each for each in levels if each.model_ids]
        if not levels or (missed and not self.leave_out):
            return _missed(raw, entry.name, missed)
        fields = {"description": None, "is_active": True, **entry.fields, "name": entry.name, "levels": levels}
        before = await complexity.find_complexity_routing(self.session, entry.name)
        try:
            if before is None:
                after: Thing = await complexity_actions.create_complexity_routing(self.session, fields)
            else:
                changes: dict[str, Any] = {**entry.fields, "levels": levels}
                after = await complexity_actions.change_complexity_routing(self.session, before.id, changes)
        except Refusal as error:
            return Line(raw.shape, raw.place, entry.name, Outcome.REFUSED, str(error))
        return _done(raw, entry.name, before, after, missed)


def _target(step: StepEntry, match: Match) -> Target:
    known = match.found[0]
    return Target(known.model_id, known.source_id, protocol=step.protocol, features=step.features)


def _missed(raw: RawEntry, entry: str, missed: Sequence[tuple[Named, Match]]) -> Line:
    is_ambiguous = all(match.found for _named, match in missed)
    return Line(
        raw.shape,
        raw.place,
        entry,
        Outcome.AMBIGUOUS if is_ambiguous else Outcome.UNMATCHED,
        "; ".join(match.reason for _named, match in missed),
        near=tuple(dict.fromkeys(name for _named, match in missed for name in match.near)),
    )


def _done(raw: RawEntry, entry: str, before: Thing | None, after: Thing, missed: Sequence[tuple[Named, Match]]) -> Line:
    if before is None:
        outcome = Outcome.CREATED
    else:
        outcome = Outcome.UNCHANGED if after.version == before.version else Outcome.CHANGED
    message = "left out: " + "; ".join(match.reason for _named, match in missed) if missed else ""
    near = tuple(dict.fromkeys(name for _named, match in missed for name in match.near))
    return Line(raw.shape, raw.place, entry, outcome, message, (after.id,), near)
