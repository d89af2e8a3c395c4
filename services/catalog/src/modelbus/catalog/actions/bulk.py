"""The same change to many models: one transaction, and a number of statements that does not grow with them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.availability import settle_models
from modelbus.catalog.actions.references import hold_models
from modelbus.catalog.actions.rehearsal import rehearsed
from modelbus.catalog.actions.successors import claim_successor, refuse_ring
from modelbus.catalog.actions.versions import differences, document, note
from modelbus.catalog.domain.bulk import MOST_AT_ONCE, BulkChange, BulkResult, ChangedModel
from modelbus.catalog.domain.errors import DanglingReferenceError, NotFoundError
from modelbus.catalog.domain.model_errors import TooManyModelsError
from modelbus.catalog.domain.models import Model, refuse_contradictions
from modelbus.catalog.domain.references import NO_CONSENT, Consent, Departure, TargetKind
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import categories, model_list, models, tags

type Selection = Sequence[UUID] | model_list.ModelFilter
"""Models by their ids, or whatever matches."""


async def change_models(
    session: AsyncSession, selection: Selection, change: BulkChange, consent: Consent, *, preview: bool
) -> BulkResult:
    """Change all of the models or none; a preview does the same and takes it back.

    Raises:
        DanglingReferenceError: one of the ids, or of what the change names, does not exist.
        TooManyModelsError: more match than may be changed at once.
        WrongSuccessorError, WrongLifecycleError: one of them can't become that.
        StillReferencedError: references would break, and there is no consent to that; a preview lists them instead.
    """
    async with rehearsed(session, only=preview):
        # What is named before who names it: whoever deletes a label takes them in this order.
        change = await _hold_labels(session, change)
        if change.successor is not None:
            await claim_successor(session)
        held = await _hold(session, selection)
        if change.successor is not None:
            await hold_models(session, {"change.replacement_model_id": change.successor})
            await refuse_ring(session, change.successor, list(held.values()), field="change.replacement_model_id")
        return await _carry_out(session, held, change, consent, preview=preview)


async def _hold_labels(session: AsyncSession, change: BulkChange) -> BulkChange:
    """Keep the labels from being deleted until the transaction ends, and see which of the tags have a rule."""
    labels = change.labels
    named = {
        "change.add_category_ids": labels.add_category_ids,
        "change.remove_category_ids": labels.remove_category_ids,
    }
    living = await categories.hold_categories(session, [*labels.add_category_ids, *labels.remove_category_ids])
    for field, ids in named.items():
        for position, category_id in enumerate(ids):
            if category_id not in living:
                raise DanglingReferenceError(f"{field}.{position}", "category", category_id)
    held = {}
    for field, ids in {
        "change.add_tag_ids": labels.add_tag_ids,
        "change.remove_tag_ids": labels.remove_tag_ids,
    }.items():
        for position, tag_id in enumerate(ids):
            try:
                held[tag_id] = await tags.hold_tag(session, tag_id)
            except NotFoundError as error:
                raise DanglingReferenceError(f"{field}.{position}", "tag", tag_id) from error
    return replace(change, ruled=frozenset(key for key, tag in held.items() if tag.rule is not None))


async def _hold(session: AsyncSession, selection: Selection) -> dict[UUID, Model]:
    if isinstance(selection, model_list.ModelFilter):
        held = await model_list.lock_matching_models(session, selection, limit=MOST_AT_ONCE + 1)
        if len(held) > MOST_AT_ONCE:
            raise TooManyModelsError(MOST_AT_ONCE)
        return held
    held = await models.lock_models(session, selection)
    for position, model_id in enumerate(selection):
        if model_id not in held or held[model_id].deleted_at is not None:
            raise DanglingReferenceError(f"ids.{position}", "model", model_id)
    return held


async def _carry_out(
    session: AsyncSession, held: Mapping[UUID, Model], change: BulkChange, consent: Consent, *, preview: bool
) -> BulkResult:
    now = datetime.now(UTC)
    leaving = [
        model.id for model in held.values() if model.is_in_service(now) and not change.applied(model).is_in_service(now)
    ]
    departure = Departure.disabling(TargetKind.MODEL, *leaving)
    broken = await impact.impact_of(session, departure)
    if broken.findings and not (preview and consent == NO_CONSENT):
        await impact.refuse_breaking(session, departure, consent)
    # What was rewritten in place of references may have been one of the models themselves.
    current = held if consent.replace_with is None else await models.lock_models(session, list(held))
    drafts = [
        stamp(draft)
        for model in current.values()
        if (draft := change.applied(model)) != model or model != held[model.id]
    ]
    for draft in drafts:
        refuse_contradictions(current[draft.id], draft)
        note(session, held[draft.id], draft)
    judged = await settle_models(session, current, drafts)
    return BulkResult(
        matched=len(held),
        models=[ChangedModel(after.id, after.name, _compared(held[after.id], after)) for after in judged],
        became_available=sum(after.is_available and not held[after.id].is_available for after in judged),
        became_unavailable=sum(held[after.id].is_available and not after.is_available for after in judged),
        findings=broken.findings,
        is_refused=broken.is_refused and consent == NO_CONSENT,
    )


def _compared(before: Model, after: Model) -> dict[str, list[Any]]:
    return differences(_shown(before), _shown(after))


def _shown(model: Model) -> dict[str, Any]:
    return {**document(model), "is_available": model.is_available, "reason": model.reason}
