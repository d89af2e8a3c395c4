"""What routing may be told: triggers of steps, classifiers, cost strategies."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    _add("chains", sa.Column("origin", sa.Text(), server_default="administrator", nullable=False))
    _add(
        "chain_steps",
        sa.Column("triggers", postgresql.ARRAY(sa.Text()), server_default="{any}", nullable=False),
        sa.Column("protocol", sa.Text(), nullable=True),
        sa.Column("features", postgresql.JSONB(), nullable=True),
    )
    op.create_index("ix_chain_steps_source_id", "chain_steps", ["source_id"], schema=SCHEMA)
    _add(
        "complexity_routings",
        sa.Column("thresholds", postgresql.ARRAY(sa.Double()), nullable=True),
        sa.Column("is_sticky", sa.Boolean(), nullable=True),
        sa.Column("judge_model_id", sa.Uuid(), nullable=True),
        sa.Column("judge_timeout_ms", sa.Integer(), nullable=True),
    )
    _refer("complexity_routings", "judge_model_id", "models")
    _create_strategies()
    _add(
        "scopes",
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("strategy_id", sa.Uuid(), nullable=True),
    )
    _refer("scopes", "strategy_id", "strategies")
    op.create_index("ix_scopes_default_model_id", "scopes", ["default_model_id"], schema=SCHEMA)


def _create_strategies() -> None:
    op.create_table(
        "strategies",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("cost_weight", sa.Double(), nullable=False),
        sa.Column("latency_weight", sa.Double(), nullable=False),
        sa.Column("success_weight", sa.Double(), nullable=False),
        sa.Column("quality_weight", sa.Double(), nullable=False),
        sa.Column("max_input_price", sa.Numeric(), nullable=True),
        sa.Column("max_output_price", sa.Numeric(), nullable=True),
        sa.Column("max_latency_ms", sa.Integer(), nullable=True),
        sa.Column("is_restricted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategies")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_strategies_name",
        "strategies",
        ["name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "strategy_models",
        sa.Column("strategy_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["strategy_id"], [f"{SCHEMA}.strategies.id"], name=op.f("fk_strategy_models_strategy_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], [f"{SCHEMA}.models.id"], name=op.f("fk_strategy_models_model_id")),
        sa.PrimaryKeyConstraint("strategy_id", "position", name=op.f("pk_strategy_models")),
        schema=SCHEMA,
    )
    op.create_index("ix_strategy_models_model_id", "strategy_models", ["model_id"], schema=SCHEMA)


def _add(table: str, *columns: sa.Column[Any]) -> None:
    for column in columns:
        op.add_column(table, column, schema=SCHEMA)


def _refer(table: str, column: str, target: str) -> None:
    name = op.f(f"fk_{table}_{column}")
    op.create_foreign_key(name, table, target, [column], ["id"], source_schema=SCHEMA, referent_schema=SCHEMA)
    op.create_index(f"ix_{table}_{column}", table, [column], schema=SCHEMA)
