"""Every place of the configuration that refers to a model, a source, a strategy or a scope, read as one list."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.references import Place, PlaceKind, TargetKind
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import (
    access_key_models,
    access_key_scopes,
    access_keys,
    chain_steps,
    chains,
    charge_prices,
    complexity_levels,
    complexity_routings,
    consumer_models,
    consumer_scopes,
    consumers,
    credential_models,
    credentials,
    models,
    scope_models,
    scopes,
    sources,
    split_arms,
    split_shadows,
    splits,
    strategies,
    strategy_models,
)

_NOBODY = sa.cast(sa.null(), sa.Uuid)


def _place(  # noqa: PLR0913 - what tells one place from another
    holder_kind: str,
    holder: sa.Table,
    kind: PlaceKind,
    *,
    model: sa.ColumnElement[Any] = _NOBODY,
    source: sa.ColumnElement[Any] = _NOBODY,
    other: sa.ColumnElement[Any] = _NOBODY,
    label: sa.ColumnElement[Any] | None = None,
    position: sa.ColumnElement[Any] | None = None,
) -> sa.Select[Any]:
    return sa.select(
        sa.literal(holder_kind, sa.Text).label("holder_kind"),
        holder.c.id.label("holder_id"),
        holder.c.name.label("holder_name"),
        holder.c.is_active.label("is_active"),
        sa.literal(kind.value, sa.Text).label("kind"),
        (sa.literal("", sa.Text) if label is None else label).label("label"),
        (sa.literal(0, sa.Integer) if position is None else position).label("position"),
        model.label("model_id"),
        source.label("source_id"),
        other.label("other_id"),
    ).where(holder.c.deleted_at.is_(None))


def _each(holder_kind: str, holder: sa.Table, kind: PlaceKind, link: sa.Column[Any], **named: Any) -> sa.Select[Any]:
    """Places that have a table of their own, in which `link` names the holder."""
    position = link.table.c.position
    return _place(holder_kind, holder, kind, position=position, **named).where(link == holder.c.id)


_refs = sa.union_all(
    _each(
        "chain",
        chains,
        PlaceKind.STEP,
        chain_steps.c.chain_id,
        model=chain_steps.c.model_id,
        source=chain_steps.c.source_id,
    ),
    *(
        _each(
            "split",
            splits,
            kind,
            variants.c.split_id,
            model=variants.c.model_id,
            source=variants.c.source_id,
            label=variants.c.name,
        )
        for kind, variants in ((PlaceKind.ARM, split_arms), (PlaceKind.SHADOW, split_shadows))
    ),
    _each(
        "complexity",
        complexity_routings,
        PlaceKind.LEVEL,
        complexity_levels.c.routing_id,
        model=complexity_levels.c.model_id,
        label=complexity_levels.c.level,
    ),
    _place("complexity", complexity_routings, PlaceKind.JUDGE, model=complexity_routings.c.judge_model_id),
    _each("strategy", strategies, PlaceKind.MODEL, strategy_models.c.strategy_id, model=strategy_models.c.model_id),
    _each("scope", scopes, PlaceKind.MODEL, scope_models.c.scope_id, model=scope_models.c.model_id),
    _place("scope", scopes, PlaceKind.DEFAULT, model=scopes.c.default_model_id),
    _place("scope", scopes, PlaceKind.STRATEGY, other=scopes.c.strategy_id),
    _each(
        "access_key",
        access_keys,
        PlaceKind.ALLOWED_MODEL,
        access_key_models.c.access_key_id,
        model=access_key_models.c.model_id,
    ),
    _each(
        "access_key",
        access_keys,
        PlaceKind.ALLOWED_SCOPE,
        access_key_scopes.c.access_key_id,
        other=access_key_scopes.c.scope_id,
    ),
    _each(
        "consumer",
        consumers,
        PlaceKind.ALLOWED_MODEL,
        consumer_models.c.consumer_id,
        model=consumer_models.c.model_id,
    ),
    _each(
        "consumer",
        consumers,
        PlaceKind.ALLOWED_SCOPE,
        consumer_scopes.c.consumer_id,
        other=consumer_scopes.c.scope_id,
    ),
    _each(
        "credential",
        credentials,
        PlaceKind.ALLOWED_MODEL,
        credential_models.c.credential_id,
        model=credential_models.c.model_id,
    ),
    _place("model", models, PlaceKind.REPLACEMENT, model=models.c.replacement_model_id),
    _place("model", models, PlaceKind.TYPE_DEFAULT, model=models.c.id, label=models.c.model_type).where(
        models.c.is_default
    ),
    # What a model's schedule of prices is called by, and has as its id, is the model's.
    _place("price", models, PlaceKind.PRICE, model=models.c.id).where(
        sa.exists().where(charge_prices.c.model_id == models.c.id, charge_prices.c.state.in_(("coming", "in_force")))
    ),
).subquery("refs")

_targets = models.alias("targets")
_other_is_fit = sa.func.coalesce(
    strategies.c.is_active & strategies.c.deleted_at.is_(None), scopes.c.is_active & scopes.c.deleted_at.is_(None)
)
_shown = (
    sa.select(
        *(_refs.c[name] for name in ("holder_kind", "holder_id", "holder_name", "is_active", "kind", "label")),
        _refs.c.position,
        _refs.c.model_id,
        sa.case(
            (_refs.c.source_id.is_not(None), TargetKind.SOURCE),
            (_refs.c.model_id.is_not(None), TargetKind.MODEL),
            (_refs.c.kind == PlaceKind.STRATEGY, TargetKind.STRATEGY),
            else_=TargetKind.SCOPE,
        ).label("target_kind"),
        sa.func.coalesce(_refs.c.source_id, _refs.c.model_id, _refs.c.other_id).label("target_id"),
        sa.func.coalesce(_targets.c.name, strategies.c.name, scopes.c.name).label("target_name"),
        sa.func.coalesce(
            _targets.c.is_available & sa.func.coalesce(sources.c.is_available, sa.true()), _other_is_fit, sa.false()
        ).label("is_available"),
    )
    .outerjoin(_targets, _targets.c.id == _refs.c.model_id)
    .outerjoin(sources, sources.c.id == _refs.c.source_id)
    .outerjoin(strategies, strategies.c.id == _refs.c.other_id)
    .outerjoin(scopes, scopes.c.id == _refs.c.other_id)
)


async def places_around(session: AsyncSession, target_ids: Collection[UUID]) -> list[Place]:
    """Read every place of every holder that refers to one of the targets, in the holders' order; two statements."""
    named = sa.or_(*(rows.among(_refs.c[name], target_ids) for name in ("model_id", "source_id", "other_id")))
    holder_ids = set(await session.scalars(sa.select(_refs.c.holder_id).where(named)))
    if not holder_ids:
        return []
    has_target = sa.func.coalesce(_refs.c.model_id, _refs.c.other_id).is_not(None)
    query = _shown.where(rows.among(_refs.c.holder_id, holder_ids), has_target)
    order = (_refs.c.holder_id, _refs.c.kind, _refs.c.label, _refs.c.position)
    return await rows.fetch_all(session, Place, query.order_by(*order))
