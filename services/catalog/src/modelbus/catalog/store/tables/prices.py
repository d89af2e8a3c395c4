"""Prices with the periods in which they are in force; no two of one thing overlap, and no row is ever deleted."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint

from modelbus.catalog.store.tables.schema import flag, key, life, metadata, refers, text, time

UNITS = ("input", "output", "cached_input", "cache_write", "reasoning", "request", "image")


def _periods(name: str, owner: str, target: str) -> sa.Table:
    """Answer a table of the prices of what `owner` refers to."""
    valid = sa.column("valid", TSTZRANGE)
    return sa.Table(
        name,
        metadata,
        key(),
        refers(owner, target),
        sa.Column("valid", TSTZRANGE, nullable=False),
        flag("is_open"),
        text("state"),
        *(sa.Column(unit, sa.Numeric) for unit in UNITS),
        flag("is_dynamic"),
        text("origin"),
        time("created_at"),
        time("updated_at"),
        # NaN and infinity are greater than every number.
        *(sa.CheckConstraint(f"{unit} >= 0 AND {unit} < 1000000000", name=unit) for unit in UNITS),
        # Deferrable, so that one statement may move two neighbours at once: it is checked at the statement's end.
        ExcludeConstraint(
            (sa.column(owner), "="),
            (valid, "&&"),
            name=f"ex_{name}_valid",
            using="gist",
            where=sa.text("state <> 'withdrawn'"),
            deferrable=True,
            initially="IMMEDIATE",
        ),
        sa.Index(f"ix_{name}_living", owner, postgresql_where=sa.text("state IN ('coming', 'in_force')")),
        sa.Index(f"ix_{name}_begins", sa.func.lower(valid), postgresql_where=sa.text("state = 'coming'")),
        sa.Index(
            f"ix_{name}_ends",
            sa.func.upper(valid),
            postgresql_where=sa.text("state = 'in_force' AND NOT upper_inf(valid)"),
        ),
    )


charge_prices = _periods("charge_prices", "model_id", "models")
cost_prices = _periods("cost_prices", "source_id", "sources")

price_schedules = sa.Table(
    "price_schedules",
    metadata,
    # The model's or the source's own id: what the schedule is of.
    key(),
    *life(),
)
