"""Queries about what models cost over their sources, and what is left of their charges.

To show beside models what they cost, join the source that decides on it, at most one for each:

    over = cost_over(Basis.CHEAPEST)
    query.outerjoin(charges_now, charges_now.c.model_id == models.c.id).outerjoin(over, sa.true())

Its columns are `source_id`, `supplier_id`, `cost` (as in `sources`) and the units by name. `is_negative(over)` is the
criterion of a charge below cost. For amounts and percentages take the rows to `domain.margins.margin_of`.
"""

import sqlalchemy as sa

from modelbus.catalog.domain.margins import DEFAULT_BLEND, Basis, Blend
from modelbus.catalog.domain.prices import UNITS
from modelbus.catalog.store.prices import charges_now
from modelbus.catalog.store.tables import models, sources

_is_dynamic = sa.func.coalesce(sources.c.cost["is_dynamic"].as_boolean(), sa.false())


def _amount(unit: str) -> sa.ColumnElement[object]:
    return sa.cast(sources.c.cost[unit].astext, sa.Numeric)


def cost_over(basis: Basis, blend: Blend = DEFAULT_BLEND) -> sa.FromClause:
    """Answer the available source of a model that counts, to be joined to `models`.

    The cheapest and the dearest are among those whose cost is known: by the blended price, then by the price of an
    image, then of a request. The preferred one is what goes first, whatever is known of its cost.
    """
    query = (
        sa.select(
            sources.c.id.label("source_id"),
            sources.c.supplier_id,
            sources.c.cost,
            _is_dynamic.label("is_dynamic"),
            *(_amount(unit).label(unit) for unit in UNITS),
        )
        .where(sources.c.model_id == models.c.id, sources.c.deleted_at.is_(None), sources.c.is_available)
        .correlate(models)
    )
    if basis != Basis.PREFERRED:
        taken, given = _amount("input"), _amount("output")
        total = blend.input * taken + blend.output * sa.func.coalesce(given, taken)
        known = sa.or_(*(_amount(unit).is_not(None) for unit in UNITS))
        ranks = (total, _amount("image"), _amount("request"))
        order = [(rank.asc() if basis == Basis.CHEAPEST else rank.desc()).nulls_last() for rank in ranks]
        query = query.where(~_is_dynamic, known).order_by(*order)
    return query.order_by(sources.c.priority, sources.c.id).limit(1).lateral("over")


def is_negative(over: sa.FromClause) -> sa.ColumnElement[bool]:
    """Tell whether a charge is below the cost, in any unit that is known on both sides."""
    below = sa.or_(*(charges_now.c[unit] < over.c[unit] for unit in UNITS))
    return sa.func.coalesce(below & ~charges_now.c.is_dynamic & ~over.c.is_dynamic, sa.false())


def is_known(over: sa.FromClause) -> sa.ColumnElement[bool]:
    """Tell whether any unit is known on both sides."""
    both = sa.or_(*(charges_now.c[unit].is_not(None) & over.c[unit].is_not(None) for unit in UNITS))
    return sa.func.coalesce(both & ~charges_now.c.is_dynamic & ~over.c.is_dynamic, sa.false())
