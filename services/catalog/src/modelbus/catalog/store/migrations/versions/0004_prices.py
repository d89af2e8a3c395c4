"""Prices with the periods in which they are in force."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "catalog"
UNITS = ("input", "output", "cached_input", "cache_write", "reasoning", "request", "image")
EXTENSION = "btree_gist"


def upgrade() -> None:
    _require_extension()
    _create_periods("charge_prices", "model_id", "models")
    _create_periods("cost_prices", "source_id", "sources")
    op.create_table(
        "price_schedules",
        sa.Column("id", sa.Uuid(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_schedules")),
        schema=SCHEMA,
    )
    op.add_column(
        "sources", sa.Column("cost_origin", sa.Text(), server_default="listing", nullable=False), schema=SCHEMA
    )
    _fill()


def _require_extension() -> None:
    if not op.get_bind().scalar(sa.text("SELECT 1 FROM pg_extension WHERE extname = :name"), {"name": EXTENSION}):
        raise RuntimeError(
            f"the database lacks the extension {EXTENSION}: run `python -m modelbus.chassis provision` again,"
            f" or have its owner say CREATE EXTENSION {EXTENSION}"
        )


def _create_periods(table: str, owner: str, target: str) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(owner, sa.Uuid(), nullable=False),
        sa.Column("valid", postgresql.TSTZRANGE(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        *(sa.Column(unit, sa.Numeric(), nullable=True) for unit in UNITS),
        sa.Column("is_dynamic", sa.Boolean(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        *(
            sa.CheckConstraint(f"{unit} >= 0 AND {unit} < 1000000000", name=op.f(f"ck_{table}_{unit}"))
            for unit in UNITS
        ),
        sa.ForeignKeyConstraint([owner], [f"{SCHEMA}.{target}.id"], name=op.f(f"fk_{table}_{owner}")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        schema=SCHEMA,
    )
    op.execute(
        f"""
        ALTER TABLE {SCHEMA}.{table} ADD CONSTRAINT ex_{table}_valid
        EXCLUDE USING gist ({owner} WITH =, valid WITH &&) WHERE (state <> 'withdrawn')
        DEFERRABLE INITIALLY IMMEDIATE
        """
    )
    for name, what, when in (
        ("living", owner, "state IN ('coming', 'in_force')"),
        ("begins", "lower(valid)", "state = 'coming'"),
        ("ends", "upper(valid)", "state = 'in_force' AND NOT upper_inf(valid)"),
    ):
        op.execute(f"CREATE INDEX ix_{table}_{name} ON {SCHEMA}.{table} ({what}) WHERE {when}")


def _fill() -> None:
    """Begin a period for each cost that is known; it has been in force since the source was last changed, at least."""
    amounts = ", ".join(f"(cost->>'{unit}')::numeric" for unit in UNITS)
    known = " OR ".join(["cost->>'is_dynamic' = 'true'", *(f"cost->>'{unit}' IS NOT NULL" for unit in UNITS)])
    op.execute(f"UPDATE {SCHEMA}.sources SET cost_origin = origin WHERE {known}")  # noqa: S608 - all of it is above
    op.execute(
        f"""
        INSERT INTO {SCHEMA}.cost_prices (
            id, source_id, valid, is_open, state, {", ".join(UNITS)}, is_dynamic, origin, created_at, updated_at
        )
        SELECT gen_random_uuid(), id, tstzrange(updated_at, NULL), true, 'in_force', {amounts},
            coalesce((cost->>'is_dynamic')::boolean, false), origin, updated_at, updated_at
        FROM {SCHEMA}.sources
        WHERE deleted_at IS NULL AND ({known})
        """  # noqa: S608 - the same
    )


def _time(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)
