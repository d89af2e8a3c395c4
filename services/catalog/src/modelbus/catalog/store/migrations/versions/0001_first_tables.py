"""The first tables of the catalog."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "catalog"


def upgrade() -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_restricted", sa.Boolean(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_access_keys_key_hash")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_access_keys_name",
        "access_keys",
        ["name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "catalog_head",
        sa.Column("singleton", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=False),
        sa.CheckConstraint("singleton", name=op.f("ck_catalog_head_singleton")),
        sa.PrimaryKeyConstraint("singleton", name=op.f("pk_catalog_head")),
        schema=SCHEMA,
    )
    op.create_table(
        "chains",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chains")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_chains_name", "chains", ["name"], unique=True, schema=SCHEMA, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_table(
        "complexity_routings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complexity_routings")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_complexity_routings_name",
        "complexity_routings",
        ["name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aliases", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("model_type", sa.Text(), nullable=False),
        sa.Column("context_window", sa.Integer(), nullable=True),
        sa.Column("max_output_tokens", sa.Integer(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provenance", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        schema=SCHEMA,
    )
    op.create_index("ix_models_aliases", "models", ["aliases"], unique=False, schema=SCHEMA, postgresql_using="gin")
    op.create_index(
        "uq_models_name", "models", ["name"], unique=True, schema=SCHEMA, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_table(
        "outbox",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("schema_version", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=True),
        sa.Column("trace_parent", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_outbox")),
        schema=SCHEMA,
    )
    op.create_table(
        "parked",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked")),
        sa.UniqueConstraint("consumer", "event_id", name="parked_once"),
        schema=SCHEMA,
    )
    op.create_table(
        "suppliers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("flavour", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("docs_url", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("requires_credential", sa.Boolean(), nullable=False),
        sa.Column("is_local", sa.Boolean(), nullable=False),
        sa.Column("removal_after", sa.Integer(), nullable=False),
        sa.Column("sync_interval_s", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppliers")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_suppliers_name",
        "suppliers",
        ["name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "access_key_models",
        sa.Column("access_key_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["access_key_id"], [f"{SCHEMA}.access_keys.id"], name=op.f("fk_access_key_models_access_key_id")
        ),
        sa.ForeignKeyConstraint(["model_id"], [f"{SCHEMA}.models.id"], name=op.f("fk_access_key_models_model_id")),
        sa.PrimaryKeyConstraint("access_key_id", "position", name=op.f("pk_access_key_models")),
        schema=SCHEMA,
    )
    op.create_index("ix_access_key_models_model_id", "access_key_models", ["model_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "applied_listings",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("listing_revision", sa.BigInteger(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["supplier_id"], [f"{SCHEMA}.suppliers.id"], name=op.f("fk_applied_listings_supplier_id")
        ),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_applied_listings")),
        schema=SCHEMA,
    )
    op.create_table(
        "complexity_levels",
        sa.Column("routing_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], [f"{SCHEMA}.models.id"], name=op.f("fk_complexity_levels_model_id")),
        sa.ForeignKeyConstraint(
            ["routing_id"], [f"{SCHEMA}.complexity_routings.id"], name=op.f("fk_complexity_levels_routing_id")
        ),
        sa.PrimaryKeyConstraint("routing_id", "level", "position", name=op.f("pk_complexity_levels")),
        schema=SCHEMA,
    )
    op.create_index("ix_complexity_levels_model_id", "complexity_levels", ["model_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "credentials",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["supplier_id"], [f"{SCHEMA}.suppliers.id"], name=op.f("fk_credentials_supplier_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credentials")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_credentials_supplier_id_name",
        "credentials",
        ["supplier_id", "name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "scopes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("default_model_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["default_model_id"], [f"{SCHEMA}.models.id"], name=op.f("fk_scopes_default_model_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scopes")),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_scopes_name", "scopes", ["name"], unique=True, schema=SCHEMA, postgresql_where=sa.text("deleted_at IS NULL")
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("supplier_id", sa.Uuid(), nullable=False),
        sa.Column("upstream_name", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("is_listed", sa.Boolean(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("cost", postgresql.JSONB(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], [f"{SCHEMA}.models.id"], name=op.f("fk_sources_model_id")),
        sa.ForeignKeyConstraint(["supplier_id"], [f"{SCHEMA}.suppliers.id"], name=op.f("fk_sources_supplier_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        schema=SCHEMA,
    )
    op.create_index("ix_sources_model_id", "sources", ["model_id"], unique=False, schema=SCHEMA)
    op.create_index(
        "uq_sources_supplier_id_upstream_name",
        "sources",
        ["supplier_id", "upstream_name"],
        unique=True,
        schema=SCHEMA,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "chain_steps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("chain_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["chain_id"], [f"{SCHEMA}.chains.id"], name=op.f("fk_chain_steps_chain_id")),
        sa.ForeignKeyConstraint(["model_id"], [f"{SCHEMA}.models.id"], name=op.f("fk_chain_steps_model_id")),
        sa.ForeignKeyConstraint(["source_id"], [f"{SCHEMA}.sources.id"], name=op.f("fk_chain_steps_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_steps")),
        sa.UniqueConstraint(
            "chain_id", "position", deferrable=True, initially="DEFERRED", name=op.f("uq_chain_steps_chain_id_position")
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_chain_steps_model_id", "chain_steps", ["model_id"], unique=False, schema=SCHEMA)
    op.create_table(
        "scope_models",
        sa.Column("scope_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], [f"{SCHEMA}.models.id"], name=op.f("fk_scope_models_model_id")),
        sa.ForeignKeyConstraint(["scope_id"], [f"{SCHEMA}.scopes.id"], name=op.f("fk_scope_models_scope_id")),
        sa.PrimaryKeyConstraint("scope_id", "position", name=op.f("pk_scope_models")),
        schema=SCHEMA,
    )
    op.create_index("ix_scope_models_model_id", "scope_models", ["model_id"], unique=False, schema=SCHEMA)
    op.execute("INSERT INTO catalog.catalog_head (epoch) VALUES (gen_random_uuid())")
