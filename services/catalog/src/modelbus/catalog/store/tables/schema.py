"""The schema `catalog`, and the columns that its tables share."""

from typing import Any

import sqlalchemy as sa

SCHEMA = "catalog"

metadata = sa.MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)


def key() -> sa.Column[Any]:
    """Answer the primary key: a UUIDv7, so that its order is that of creation."""
    return sa.Column("id", sa.Uuid, primary_key=True)


def time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Answer a column for a moment, with its time zone."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def text(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Answer a column for text."""
    return sa.Column(name, sa.Text, nullable=nullable)


def flag(name: str) -> sa.Column[Any]:
    """Answer a column for a claim that is true or not."""
    return sa.Column(name, sa.Boolean, nullable=False)


def number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Answer a column for a whole number of 32 bits."""
    return sa.Column(name, sa.Integer, nullable=nullable)


def refers(name: str, table: str, *, nullable: bool = False, is_key: bool = False) -> sa.Column[Any]:
    """Answer a column for the id of a row in another table."""
    return sa.Column(name, sa.Uuid, sa.ForeignKey(f"{table}.id"), nullable=nullable, primary_key=is_key)


def life() -> list[sa.Column[Any]]:
    """Answer what every thing has: when it was made, changed and deleted, and how often it was changed."""
    return [
        time("created_at"),
        time("updated_at"),
        time("deleted_at", nullable=True),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    ]


def unique_while_it_lives(table: sa.Table, *columns: str) -> None:
    """Refuse a second living row with the same values; a deleted thing's name may be used again."""
    sa.Index(
        f"uq_{table.name}_{'_'.join(columns)}",
        *(table.c[column] for column in columns),
        unique=True,
        postgresql_where=table.c.deleted_at.is_(None),
    )
