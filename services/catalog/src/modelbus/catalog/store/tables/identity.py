"""Who administers: users, their sessions and tokens, the keys that sign, and how often signing in failed."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from modelbus.catalog.store.tables.schema import (
    flag,
    key,
    life,
    metadata,
    number,
    refers,
    text,
    time,
    unique_while_it_lives,
)

users = sa.Table(
    "users",
    metadata,
    key(),
    text("name"),
    text("display_name", nullable=True),
    text("role"),
    flag("is_active"),
    text("password_hash", nullable=True),
    text("issuer", nullable=True),
    text("subject", nullable=True),
    *life(),
)
unique_while_it_lives(users, "name")
unique_while_it_lives(users, "issuer", "subject")

sessions = sa.Table(
    "sessions",
    metadata,
    key(),
    refers("user_id", "users"),
    text("address"),
    time("created_at"),
    time("expires_at"),
    time("ended_at", nullable=True),
)
sa.Index("ix_sessions_user_id", sessions.c.user_id)
sa.Index("ix_sessions_expires_at", sessions.c.expires_at)

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    refers("session_id", "sessions"),
    time("used_at", nullable=True),
)
sa.Index("ix_refresh_tokens_session_id", refresh_tokens.c.session_id)

api_tokens = sa.Table(
    "api_tokens",
    metadata,
    key(),
    refers("user_id", "users", nullable=True),
    text("name"),
    text("prefix"),
    text("hash"),
    text("role"),
    time("expires_at", nullable=True),
    time("last_used_at", nullable=True),
    *life(),
    sa.UniqueConstraint("hash"),
)
sa.Index("ix_api_tokens_user_id", api_tokens.c.user_id)

signing_keys = sa.Table(
    "signing_keys",
    metadata,
    key(),
    sa.Column("public", JSONB, nullable=False),
    text("sealed"),
    time("created_at"),
    time("retired_at", nullable=True),
)

attempts = sa.Table(
    "attempts",
    metadata,
    # What was tried, hashed: somebody may have typed a password where a name belongs.
    sa.Column("what", sa.Text, primary_key=True),
    number("tries"),
    time("since"),
)
sa.Index("ix_attempts_since", attempts.c.since)
