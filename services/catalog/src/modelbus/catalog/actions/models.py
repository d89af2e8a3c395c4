"""What can be done with models."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.availability import settle, settle_models
from modelbus.catalog.actions.names import claim_names
from modelbus.catalog.actions.references import hold_models
from modelbus.catalog.actions.successors import claim_successor, refuse_ring
from modelbus.catalog.actions.tagging import tag_by_own_rules
from modelbus.catalog.actions.versions import expect, keep, note
from modelbus.catalog.domain.availability import judge_model
from modelbus.catalog.domain.errors import AlreadyExistsError, NotFoundError
from modelbus.catalog.domain.model_errors import NoSuchParameterError
from modelbus.catalog.domain.models import CAPABILITIES, TOLD_FIELDS, Model, refuse_contradictions
from modelbus.catalog.domain.parameters import Parameter, refuse_wrong_parameters
from modelbus.catalog.domain.provenance import ADMINISTRATOR
from modelbus.catalog.domain.references import NO_CONSENT, Consent, Departure, TargetKind
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import models
from modelbus.chassis.ids import new_id

type Alter = Callable[[Model], Model]
"""What becomes of a model; it may raise a refusal."""


async def create_model(session: AsyncSession, fields: Mapping[str, Any], told: Collection[str] = TOLD_FIELDS) -> Model:
    """Add a model; it is unavailable until a source serves it.

    `told` are those of the listed fields that the administrator said; listings may say the others.

    Raises:
        AlreadyExistsError: another model or a chain has the name, or one of the aliases.
        DanglingReferenceError: there is no such successor.
        WrongParametersError, WrongLifecycleError: the fields contradict each other.
    """
    await claim_names(session, [fields["name"], *fields["aliases"]])
    if (successor := fields.get("replacement_model_id")) is not None:
        await hold_models(session, {"replacement_model_id": successor})
    now = datetime.now(UTC)
    model = Model(
        **fields,
        id=new_id(),
        is_available=False,
        reason=None,
        since=now,
        provenance=dict.fromkeys(sorted(TOLD_FIELDS & fields.keys() & set(told)), ADMINISTRATOR),
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    refuse_contradictions(None, model)
    refuse_wrong_parameters([Parameter(**each) for each in model.parameters])
    model = replace(model, reason=judge_model(model, [], now))
    model = (await tag_by_own_rules(session, {model.id: model}))[model.id]
    await models.insert_models(session, [model])
    await keep(session, None, model)
    return model


async def change_model(
    session: AsyncSession, key: UUID | str, fields: Mapping[str, Any], consent: Consent = NO_CONSENT
) -> Model:
    """Change the given fields; they are the administrator's from now on, and no listing overwrites them.

    Raises:
        StillReferencedError: it would go out of service, references would break, and there is no consent to that.
    """
    told = dict.fromkeys(sorted(TOLD_FIELDS & fields.keys()), ADMINISTRATOR)

    def alter(model: Model) -> Model:
        return replace(model, **fields, provenance={**model.provenance, **told})

    await _claim_changed_names(session, key, fields)
    return await alter_model(session, key, alter, consent=consent, successor=fields.get("replacement_model_id"))


async def replace_model(
    session: AsyncSession,
    key: UUID | str,
    fields: Mapping[str, Any],
    told: Collection[str],
    consent: Consent = NO_CONSENT,
) -> Model:
    """Set every field; those of the listed fields that are not `told` are given back to the listings."""

    def alter(model: Model) -> Model:
        listed = {
            name: by
            for name, by in model.provenance.items()
            if name == CAPABILITIES or (by != ADMINISTRATOR and name not in told)
        }
        given = {name: value for name, value in fields.items() if name not in listed}
        return replace(model, **given, provenance={**listed, **dict.fromkeys(sorted(told), ADMINISTRATOR)})

    await _claim_changed_names(session, key, fields)
    return await alter_model(session, key, alter, consent=consent, successor=fields["replacement_model_id"])


async def alter_model(
    session: AsyncSession,
    key: UUID | str,
    alter: Alter,
    *,
    consent: Consent = NO_CONSENT,
    successor: UUID | None = None,
) -> Model:
    """Lock a model, let it become what `alter` makes of it, and tell it; what stays as it was is not told.

    Raises:
        NotFoundError: there is none, or it was deleted.
        ChangedMeanwhileError: it is no longer as the caller saw it.
        WrongSuccessorError, WrongParametersError, WrongLifecycleError, DefaultModelError: it can't become that.
        StillReferencedError: it would go out of service, references would break, and there is no consent to that.
    """
    if successor is not None:
        await claim_successor(session)
    model = await lock_model(session, key, successor)
    expect(session, model)
    changed = alter(model)
    if changed == model:
        return model
    refuse_contradictions(model, changed)
    if changed.parameters != model.parameters:
        refuse_wrong_parameters([Parameter(**each) for each in changed.parameters])
    if successor is not None and successor != model.replacement_model_id:
        await refuse_ring(session, successor, [model])
    held = model
    now = datetime.now(UTC)
    if model.is_in_service(now) and not changed.is_in_service(now):
        await impact.refuse_breaking(session, Departure.disabling(TargetKind.MODEL, model.id), consent)
        # Who was the default of its type has handed that over, where references were rewritten.
        held = await models.get_model(session, model.id)
        changed = alter(held)
    changed = stamp(changed)
    note(session, model, changed)
    [judged] = await settle_models(session, {held.id: held}, [changed])
    return judged


async def add_parameter(session: AsyncSession, key: UUID | str, parameter: Parameter) -> Model:
    """Add a parameter to a model.

    Raises:
        WrongParametersError: its values are not of its type, or the model has too many.
        AlreadyExistsError: it has one of that name.
    """

    def alter(model: Model) -> Model:
        if any(each["name"] == parameter.name for each in model.parameters):
            raise AlreadyExistsError("parameter of this model", "name", parameter.name)
        return replace(model, parameters=[*model.parameters, asdict(parameter)])

    refuse_wrong_parameters([parameter], at="")
    return await alter_model(session, key, alter)


async def set_parameter(session: AsyncSession, key: UUID | str, parameter: Parameter) -> Model:
    """Add a parameter to a model, or put it in the place of the one of that name."""

    def alter(model: Model) -> Model:
        wanted = asdict(parameter)
        is_there = any(each["name"] == parameter.name for each in model.parameters)
        told = [wanted if each["name"] == parameter.name else each for each in model.parameters]
        return replace(model, parameters=told if is_there else [*told, wanted])

    refuse_wrong_parameters([parameter], at="")
    return await alter_model(session, key, alter)


async def remove_parameter(session: AsyncSession, key: UUID | str, name: str) -> Model:
    """Take a parameter from a model.

    Raises:
        NoSuchParameterError: it has none of that name.
    """

    def alter(model: Model) -> Model:
        left = [each for each in model.parameters if each["name"] != name]
        if len(left) == len(model.parameters):
            raise NoSuchParameterError(model.id, name)
        return replace(model, parameters=left)

    return await alter_model(session, key, alter)


async def delete_model(session: AsyncSession, key: UUID | str, consent: Consent = NO_CONSENT) -> None:
    """Take the model out of the catalog.

    Raises:
        StillReferencedError: references would break, and there is no consent to that.
    """
    model = await lock_model(session, key)
    expect(session, model)
    await impact.refuse_breaking(session, Departure.deleting(TargetKind.MODEL, model.id), consent)
    held = await models.get_model(session, model.id)
    await models.save_models(session, [stamp(replace(held, deleted_at=datetime.now(UTC)))])
    note(session, model, None)
    await settle(session, [model.id], changed_models=[model.id])


async def lock_model(session: AsyncSession, key: UUID | str, successor: UUID | None = None) -> Model:
    """Hold a living model, and its successor to be where one is named, and read it as it then is.

    Raises:
        NotFoundError: there is none, or it was deleted.
        DanglingReferenceError: there is no such successor.
    """
    model = await models.get_model(session, key)
    held = await models.lock_models(session, {model.id, successor} - {None})  # type: ignore[arg-type]
    if successor is not None:
        await hold_models(session, {"replacement_model_id": successor})
    if (found := held.get(model.id)) is None or found.deleted_at is not None:
        raise NotFoundError("model", key)
    return found


async def _claim_changed_names(session: AsyncSession, key: UUID | str, fields: Mapping[str, Any]) -> None:
    if names := [name for name in (fields.get("name"), *fields.get("aliases", ())) if name is not None]:
        await claim_names(session, names, holder=(await models.get_model(session, key)).id)
