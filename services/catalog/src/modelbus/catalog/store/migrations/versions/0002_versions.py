"""Versions of the configuration, the audit log, and the keys of requests that are done once."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "catalog"
THINGS = (
    "suppliers",
    "credentials",
    "models",
    "sources",
    "chains",
    "complexity_routings",
    "scopes",
    "access_keys",
)


def upgrade() -> None:
    for table in THINGS:
        op.add_column(table, sa.Column("version", sa.Integer(), server_default="1", nullable=False), schema=SCHEMA)
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caller_id", sa.Uuid(), nullable=True),
        sa.Column("caller_name", sa.Text(), nullable=False),
        sa.Column("caller_role", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("detail", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        schema=SCHEMA,
    )
    op.create_index("ix_audit_at", "audit", ["at"], schema=SCHEMA)
    op.create_index("ix_audit_caller_name", "audit", ["caller_name"], schema=SCHEMA)
    op.create_table(
        "versions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("thing_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("audit_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("caller_id", sa.Uuid(), nullable=True),
        sa.Column("caller_name", sa.Text(), nullable=False),
        sa.Column("caller_role", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=True),
        sa.Column("changed", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["audit_id"], [f"{SCHEMA}.audit.id"], name=op.f("fk_versions_audit_id")),
        sa.PrimaryKeyConstraint("kind", "thing_id", "number", name=op.f("pk_versions")),
        schema=SCHEMA,
    )
    op.create_index("ix_versions_audit_id", "versions", ["audit_id"], schema=SCHEMA)
    op.create_index("ix_versions_at", "versions", ["at"], schema=SCHEMA)
    op.create_table(
        "idempotency_keys",
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_keys")),
        schema=SCHEMA,
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], schema=SCHEMA)
    _only_grow("audit")
    _only_grow("versions")


def _only_grow(table: str) -> None:
    """Refuse to change or delete a line, whoever asks: what was done was done."""
    op.execute(
        f"""
        CREATE FUNCTION {SCHEMA}.{table}_only_grows() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'lines of {table} are never changed nor deleted'; END $$
        """
    )
    op.execute(
        f"""
        CREATE TRIGGER {table}_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {SCHEMA}.{table}
        FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.{table}_only_grows()
        """
    )
