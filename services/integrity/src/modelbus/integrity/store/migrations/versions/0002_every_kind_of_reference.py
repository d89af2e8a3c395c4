"""One table of all that is known, and findings of every rule; the index is read anew from the catalog."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "integrity"


def upgrade() -> None:
    _create_records()
    _widen_references()
    _widen_findings()
    for table in ("models", "sources", "holders"):
        op.drop_table(table, schema=SCHEMA)
    op.add_column("index_head", sa.Column("judged_on", sa.Date), schema=SCHEMA)
    # Kinds that were not followed are missing, so nothing may be judged before the next snapshot.
    op.execute("UPDATE integrity.index_head SET epoch = NULL, loaded_revision = 0")


def _create_records() -> None:
    op.create_table(
        "records",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Numeric(39, 0), nullable=False),
        sa.Column("record", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("model_id", sa.Uuid),
        sa.PrimaryKeyConstraint("kind", "id", name="pk_records"),
        schema=SCHEMA,
    )
    op.create_index("ix_records_name", "records", ["name"], schema=SCHEMA)
    op.create_index("ix_records_model_id", "records", ["model_id"], schema=SCHEMA)
    # No record has the digest 1: what is alive counts as news in the next snapshot, and its references are read anew.
    kept = "id, revision, CASE WHEN record IS NULL THEN 0 ELSE 1 END, record, {name}, {is_active}, {model_id}"
    copies = (
        ("models", "'model'", kept.format(name="name", is_active="record IS NOT NULL", model_id="NULL")),
        ("sources", "'source'", kept.format(name="NULL", is_active="record IS NOT NULL", model_id="model_id")),
        ("holders", "kind", kept.format(name="name", is_active="is_active", model_id="NULL")),
    )
    for table, kind, columns in copies:
        op.execute(
            "INSERT INTO integrity.records (kind, id, revision, digest, record, name, is_active, model_id) "  # noqa: S608 - of our own words
            f"SELECT {kind}, {columns} FROM integrity.{table}"
        )


def _widen_references() -> None:
    op.drop_table("references", schema=SCHEMA)
    op.create_table(
        "references",
        sa.Column("holder_kind", sa.Text, nullable=False),
        sa.Column("holder_id", sa.Uuid, nullable=False),
        sa.Column("place_key", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("serves", sa.Text, nullable=False),
        sa.Column("target_kind", sa.Text, nullable=False),
        sa.Column("target_id", sa.Uuid, nullable=False),
        sa.Column("model_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("holder_kind", "holder_id", "place_key", name="pk_references"),
        sa.ForeignKeyConstraint(
            ["holder_kind", "holder_id"],
            [f"{SCHEMA}.records.kind", f"{SCHEMA}.records.id"],
            name="fk_references_holder_kind",
        ),
        schema=SCHEMA,
    )
    op.create_index("ix_references_target_id", "references", ["target_id"], schema=SCHEMA)
    op.create_index("ix_references_model_id", "references", ["model_id"], schema=SCHEMA)


def _widen_findings() -> None:
    op.drop_index("uq_findings_unresolved", "findings", schema=SCHEMA)
    op.drop_constraint("fk_findings_holder_id", "findings", schema=SCHEMA)
    op.alter_column("findings", "kind", new_column_name="rule", schema=SCHEMA)
    op.add_column("findings", sa.Column("holder_kind", sa.Text), schema=SCHEMA)
    op.execute(
        "UPDATE integrity.findings SET holder_kind = holders.kind FROM integrity.holders "
        "WHERE holders.id = findings.holder_id"
    )
    op.alter_column("findings", "holder_kind", nullable=False, schema=SCHEMA)
    for column in (
        sa.Column("target_name", sa.Text),
        sa.Column("evidence", JSONB, server_default="{}", nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True)),
        sa.Column("acknowledged_by", sa.Text),
    ):
        op.add_column("findings", column, schema=SCHEMA)
    op.execute(
        "UPDATE integrity.findings SET target_name = models.name FROM integrity.models "
        "LEFT JOIN integrity.sources ON sources.model_id = models.id "
        "WHERE findings.target_id IN (models.id, sources.id)"
    )
    op.create_foreign_key(
        "fk_findings_holder_kind",
        "findings",
        "records",
        ["holder_kind", "holder_id"],
        ["kind", "id"],
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.create_index(
        "uq_findings_unresolved",
        "findings",
        ["rule", "holder_kind", "holder_id", "place_key", "target_kind", "target_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
        schema=SCHEMA,
    )
    op.create_index("ix_findings_target_id", "findings", ["target_id"], schema=SCHEMA)
