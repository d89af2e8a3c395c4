"""Indexes that the main questions need at a hundred thousand sources."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.execute(
        f"""
        CREATE INDEX ix_models_aliased ON {SCHEMA}.models (id)
        WHERE deleted_at IS NULL AND cardinality(aliases) > 0
        """
    )
    _for_lists_of_models()
    _for_lists_of_sources()


def _for_lists_of_models() -> None:
    op.execute(
        f"""
        CREATE INDEX ix_models_retires_at ON {SCHEMA}.models (retires_at)
        WHERE deleted_at IS NULL AND is_active AND retires_at IS NOT NULL AND reason IS DISTINCT FROM 'retired'
        """
    )
    for column in ("display_name", "updated_at"):
        op.execute(f"CREATE INDEX ix_models_{column} ON {SCHEMA}.models ({column}, id) WHERE deleted_at IS NULL")
    op.execute(
        f"""
        CREATE INDEX ix_models_context_window ON {SCHEMA}.models (coalesce(context_window, 0), id)
        WHERE deleted_at IS NULL
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.text_of(words text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN array_to_string(words, chr(10))
        """
    )
    _by_trigrams("models", "name", "display_name", "custom_name", "description", f"{SCHEMA}.text_of(aliases)")


def _for_lists_of_sources() -> None:
    op.execute(f"DROP INDEX {SCHEMA}.ix_sources_model_id")
    op.execute(
        f"CREATE INDEX ix_sources_model_id ON {SCHEMA}.sources (model_id) INCLUDE (deleted_at, is_available, health)"
    )
    for column in ("upstream_name", "priority", "updated_at"):
        op.execute(f"CREATE INDEX ix_sources_{column} ON {SCHEMA}.sources ({column}, id) WHERE deleted_at IS NULL")
    op.execute(
        f"""
        CREATE INDEX ix_sources_unavailable ON {SCHEMA}.sources (reason, id)
        WHERE deleted_at IS NULL AND NOT is_available
        """
    )
    _by_trigrams("sources", "upstream_name")


def _by_trigrams(table: str, *columns: str) -> None:
    searched = ", ".join(f"{column} extensions.gin_trgm_ops" for column in columns)
    op.execute(f"CREATE INDEX ix_{table}_searched ON {SCHEMA}.{table} USING gin ({searched})")
