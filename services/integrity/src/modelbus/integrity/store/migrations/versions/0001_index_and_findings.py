"""The index of the catalog, the findings, the outbox and the parked messages."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "integrity"


def upgrade() -> None:
    _create_index()
    _create_findings()
    _create_outbox()
    _create_parked()


def _head(name: str, *numbers: str, is_begun: bool) -> None:
    op.create_table(
        name,
        sa.Column("singleton", sa.Boolean, server_default=sa.true(), nullable=False),
        *(sa.Column(number, sa.BigInteger, server_default="0", nullable=False) for number in numbers),
        sa.Column("epoch", sa.Uuid, nullable=not is_begun),
        sa.CheckConstraint("singleton", name=f"ck_{name}_singleton"),
        sa.PrimaryKeyConstraint("singleton", name=f"pk_{name}"),
        schema=SCHEMA,
    )


def _known() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("record", sa.Text),
        sa.Column("digest", sa.Numeric(39, 0), nullable=False),
    ]


def _create_index() -> None:
    _head("index_head", "revision", "loaded_revision", is_begun=False)
    op.execute("INSERT INTO integrity.index_head (singleton) VALUES (true)")
    op.create_table(
        "models",
        *_known(),
        sa.Column("name", sa.Text),
        sa.Column("unavailable_because", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        schema=SCHEMA,
    )
    op.create_index("ix_models_name", "models", ["name"], schema=SCHEMA)
    op.create_table(
        "sources",
        *_known(),
        sa.Column("model_id", sa.Uuid),
        sa.Column("supplier_id", sa.Uuid),
        sa.Column("unavailable_because", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_sources"),
        schema=SCHEMA,
    )
    op.create_table(
        "holders",
        *_known(),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_holders"),
        schema=SCHEMA,
    )
    op.create_table(
        "references",
        sa.Column("holder_id", sa.Uuid, nullable=False),
        sa.Column("place_key", sa.Text, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("serves", sa.Text, nullable=False),
        sa.Column("target_kind", sa.Text, nullable=False),
        sa.Column("target_id", sa.Uuid, nullable=False),
        sa.Column("model_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("holder_id", "place_key", name="pk_references"),
        sa.ForeignKeyConstraint(["holder_id"], [f"{SCHEMA}.holders.id"], name="fk_references_holder_id"),
        schema=SCHEMA,
    )
    op.create_index("ix_references_target_id", "references", ["target_id"], schema=SCHEMA)
    op.create_index("ix_references_model_id", "references", ["model_id"], schema=SCHEMA)


def _create_findings() -> None:
    op.create_table(
        "findings",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("holder_id", sa.Uuid, nullable=False),
        sa.Column("place_key", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("target_kind", sa.Text, nullable=False),
        sa.Column("target_id", sa.Uuid, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_revision", sa.BigInteger, nullable=False),
        sa.Column("resolution", sa.Text),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sa.Column("closed_revision", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_findings"),
        sa.ForeignKeyConstraint(["holder_id"], [f"{SCHEMA}.holders.id"], name="fk_findings_holder_id"),
        schema=SCHEMA,
    )
    op.create_index(
        "uq_findings_unresolved",
        "findings",
        ["kind", "holder_id", "place_key", "target_kind", "target_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'resolved'"),
        schema=SCHEMA,
    )
    op.create_index("ix_findings_holder_id", "findings", ["holder_id"], schema=SCHEMA)


def _create_outbox() -> None:
    _head("integrity_head", "version", is_begun=True)
    op.execute("INSERT INTO integrity.integrity_head (epoch) VALUES (gen_random_uuid())")
    op.create_table(
        "outbox",
        sa.Column("revision", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Uuid, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("schema_version", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("correlation_id", sa.Text),
        sa.Column("trace_parent", sa.Text),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_outbox"),
        schema=SCHEMA,
    )


def _create_parked() -> None:
    op.create_table(
        "parked",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("event_id", sa.Uuid),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_parked"),
        sa.UniqueConstraint("consumer", "event_id", name="parked_once"),
        schema=SCHEMA,
    )
