"""Users, their sessions and tokens, and the keys that sign."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("issuer", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        *_life(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        schema=SCHEMA,
    )
    _unique_while_it_lives("users", "name")
    _unique_while_it_lives("users", "issuer", "subject")
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        _time("created_at"),
        _time("expires_at"),
        _time("ended_at", nullable=True),
        sa.ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        schema=SCHEMA,
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], schema=SCHEMA)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], schema=SCHEMA)
    op.create_table(
        "refresh_tokens",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        _time("used_at", nullable=True),
        sa.ForeignKeyConstraint(["session_id"], [f"{SCHEMA}.sessions.id"], name=op.f("fk_refresh_tokens_session_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_refresh_tokens")),
        schema=SCHEMA,
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"], schema=SCHEMA)
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        _time("expires_at", nullable=True),
        _time("last_used_at", nullable=True),
        *_life(),
        sa.ForeignKeyConstraint(["user_id"], [f"{SCHEMA}.users.id"], name=op.f("fk_api_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_tokens_hash")),
        schema=SCHEMA,
    )
    op.create_index("ix_api_tokens_user_id", "api_tokens", ["user_id"], schema=SCHEMA)
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("public", postgresql.JSONB(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        _time("created_at"),
        _time("retired_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        schema=SCHEMA,
    )
    op.create_table(
        "attempts",
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        _time("since"),
        sa.PrimaryKeyConstraint("what", name=op.f("pk_attempts")),
        schema=SCHEMA,
    )
    op.create_index("ix_attempts_since", "attempts", ["since"], schema=SCHEMA)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _life() -> list[sa.Column[Any]]:
    return [
        _time("created_at"),
        _time("updated_at"),
        _time("deleted_at", nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    ]


def _unique_while_it_lives(table: str, *columns: str) -> None:
    op.create_index(
        f"uq_{table}_{'_'.join(columns)}",
        table,
        list(columns),
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
