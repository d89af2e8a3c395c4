"""The whole configuration as rows: read in order, and put back in place of what is there."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZRANGE, Range
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.capabilities import DataType, Domain
from modelbus.catalog.domain.chains import ChainOrigin, Trigger
from modelbus.catalog.domain.complexity import Level
from modelbus.catalog.domain.consumers import ConsumerKind
from modelbus.catalog.domain.credentials import State
from modelbus.catalog.domain.models import Lifecycle, ModelType, Tier
from modelbus.catalog.domain.prices import PeriodState
from modelbus.catalog.domain.sources import Health, Origin
from modelbus.catalog.domain.suppliers import Protocol, SupplierKind
from modelbus.catalog.store import tables
from modelbus.catalog.store.tables import metadata
from modelbus.chassis import bulk
from modelbus.chassis.callers import Role

LEFT_OUT = {
    tables.audit.name: "what was done here was done here",
    tables.versions.name: "the same",
    tables.outbox.rows.name: "what was told from here",
    tables.outbox.head.name: "the same; the document says where it stood",
    tables.parking.rows.name: "messages that came here",
    tables.parking.begun.name: "the same",
    tables.idempotency.rows.name: "requests that were made here",
    tables.applied_listings.name: "what sync told here, in the order of its own stream",
    tables.refused_listings.name: "the same",
    tables.sessions.name: "who is signed in here",
    tables.refresh_tokens.name: "the same",
    tables.attempts.name: "who tries to sign in here",
    tables.signing_keys.name: "what signs here",
    tables.model_usage.name: "figures of use, no configuration",
    tables.heard_usage.name: "the same",
    tables.health_claims.name: "what is seen from here, and seen again",
    tables.credential_refusals.name: "the same",
}
"""Tables that are no configuration, and why."""
EXPORTED = tuple(table for table in metadata.sorted_tables if table.name not in LEFT_OUT)
"""What is exported, each table after those that it refers to."""
DEPENDENT = (tables.applied_listings, tables.refresh_tokens, tables.sessions)
"""What refers to the configuration, and is forgotten when it is replaced."""
LAID_BY_ITSELF = (tables.capabilities, tables.categories, tables.tags, tables.users, tables.api_tokens)
"""What a catalog may hold before anybody has configured anything: its labels, and who administers it."""
READ_AT_ONCE = 1000

_WORDS: dict[tuple[str, str], type[StrEnum]] = {
    ("suppliers", "kind"): SupplierKind,
    ("suppliers", "protocol"): Protocol,
    ("credentials", "state"): State,
    ("models", "model_type"): ModelType,
    ("models", "lifecycle"): Lifecycle,
    ("models", "tier"): Tier,
    ("models", "reason"): Reason,
    ("sources", "origin"): Origin,
    ("sources", "cost_origin"): Origin,
    ("charge_prices", "origin"): Origin,
    ("charge_prices", "state"): PeriodState,
    ("cost_prices", "origin"): Origin,
    ("cost_prices", "state"): PeriodState,
    ("sources", "reason"): Reason,
    ("sources", "protocol"): Protocol,
    ("sources", "health"): Health,
    ("chains", "origin"): ChainOrigin,
    ("chain_steps", "protocol"): Protocol,
    ("chain_steps", "triggers"): Trigger,
    ("complexity_levels", "level"): Level,
    ("consumers", "kind"): ConsumerKind,
    ("consumers", "tier"): Tier,
    ("capabilities", "domain"): Domain,
    ("capabilities", "input_types"): DataType,
    ("capabilities", "output_types"): DataType,
    ("users", "role"): Role,
    ("api_tokens", "role"): Role,
}
"""Columns of text that hold one of some words, or several of them."""
_LABELS = {
    "category_ids": tables.categories,
    "tag_ids": tables.tags,
    "untagged_ids": tables.tags,
    "rule_tag_ids": tables.tags,
}
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class _Span(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A range of time as JSON."""

    lower: Annotated[datetime, msgspec.Meta(tz=True)] | None
    upper: Annotated[datetime, msgspec.Meta(tz=True)] | None
    bounds: Literal["[)", "[]", "(]", "()"]
    empty: bool

    def as_range(self) -> Range[datetime]:
        """Answer it as the driver takes it."""
        return Range(self.lower, self.upper, bounds=self.bounds, empty=self.empty)


_TYPES: dict[type[sa.types.TypeEngine[Any]], Any] = {
    sa.Uuid: UUID,
    sa.Boolean: bool,
    sa.Date: date,
    sa.DateTime: Annotated[datetime, msgspec.Meta(tz=True)],
    sa.BigInteger: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    sa.Integer: Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    sa.Float: float,
    sa.Numeric: Decimal,
    JSONB: dict[str, Any] | list[Any],
    TSTZRANGE: _Span,
}
"""What a column's value must be; the first that fits the column's type or its bases."""


class RowMalformedError(Exception):
    """A row of a document can't be meant so."""


async def read_table(session: AsyncSession, table: sa.Table) -> AsyncIterator[Sequence[sa.Row[Any]]]:
    """Read a table whole, in order of its key, some rows at a time."""
    query = sa.select(table).order_by(*table.primary_key).execution_options(yield_per=READ_AT_ONCE)
    async for some in (await session.stream(query)).partitions():
        yield some


async def lock_everything(session: AsyncSession) -> None:
    """Keep everybody from changing the configuration until the transaction ends; whoever reads is not disturbed."""
    # Stronger than a write's own lock: who has locked rows, and has not written yet, must be waited for as well.
    names = ", ".join(f"{table.schema}.{table.name}" for table in (*EXPORTED, *DEPENDENT))
    await session.execute(sa.text("SET LOCAL statement_timeout = 0"))
    await session.execute(sa.text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


async def count_rows(session: AsyncSession) -> dict[str, int]:
    """Count what is there, by table."""
    return {table.name: await session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in EXPORTED}


async def is_configured(session: AsyncSession) -> bool:
    """Tell whether anybody has configured anything, deleted things included."""
    begun = [sa.exists(sa.select(table)) for table in EXPORTED if table not in LAID_BY_ITSELF]
    return await session.scalar(sa.select(sa.or_(*begun))) or False


async def clear(session: AsyncSession) -> None:
    """Take the configuration away, and what refers to it."""
    for table in (*DEPENDENT, *reversed(EXPORTED)):
        await session.execute(sa.delete(table))


class Link(NamedTuple):
    """A reference from one row of a table to another of the same."""

    column: str
    id: UUID
    target: UUID


def own_references(table: sa.Table) -> list[str]:
    """Answer the columns by which rows of the table refer to others of it."""
    return [key.parent.name for key in table.foreign_keys if key.column.table is table]


async def link(session: AsyncSession, table: sa.Table, links: Sequence[Link]) -> None:
    """Write references among rows of one table, once all of them are there."""
    for name in own_references(table):
        wanted = [{"from": each.id, "to": each.target} for each in links if each.column == name]
        change = sa.update(table).where(table.c.id == sa.bindparam("from")).values({name: sa.bindparam("to")})
        if wanted:
            # The Core connection sends one prepared statement for all; the session would look for ORM classes.
            await (await session.connection()).execute(change, wanted)


async def fill(session: AsyncSession, table: sa.Table, rows: Iterator[Sequence[Any]]) -> None:
    """Write rows, each with every column in order."""
    await bulk.insert(session, table, [column.name for column in table.c], rows)


async def check_constraints(session: AsyncSession) -> None:
    """Have PostgreSQL look now at what it would look at in the end."""
    await session.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))


async def find_dangling_label(session: AsyncSession) -> str | None:
    """Say which model bears a label that is not there; foreign keys see to every other reference."""
    models = tables.models
    for name, target in _LABELS.items():
        label = sa.func.unnest(models.c[name]).column_valued("label", joins_implicitly=True)
        is_there = sa.exists().where(target.c.id == label)
        found = (await session.execute(sa.select(models.c.id, label).where(~is_there).limit(1))).one_or_none()
        if found is not None:
            return f"tables.models: {found.id} names {found[1]} in {name}, which is not in tables.{target.name}"
    key = sa.func.jsonb_object_keys(models.c.capabilities).column_valued("key", joins_implicitly=True)
    is_there = sa.exists().where(sa.cast(tables.capabilities.c.id, sa.Text) == key)
    found = (await session.execute(sa.select(models.c.id, key).where(~is_there).limit(1))).one_or_none()
    return None if found is None else f"tables.models: {found.id} has the capability {found[1]}, which is not there"


async def find_cycle(session: AsyncSession) -> UUID | None:
    """Answer a category that is not under any root, as it is its own ancestor."""
    categories = tables.categories
    rooted = sa.select(categories.c.id).where(categories.c.parent_id.is_(None)).cte("rooted", recursive=True)
    rooted = rooted.union_all(sa.select(categories.c.id).where(categories.c.parent_id == rooted.c.id))
    lost = sa.select(categories.c.id).where(categories.c.id.not_in(sa.select(rooted.c.id)))
    found: UUID | None = await session.scalar(lost.limit(1))
    return found


async def has_admin(session: AsyncSession) -> bool:
    """Tell whether a user could administer."""
    users = tables.users
    query = sa.exists().where(users.c.role == Role.ADMIN, users.c.is_active, users.c.deleted_at.is_(None))
    return await session.scalar(sa.select(query)) or False


class RowReader:
    """Reads the rows of one table from JSON: every column, nothing else, each of its type."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
        self._columns = [column.name for column in table.c]
        self._type = msgspec.defstruct(
            str(table.name), [_field(column) for column in table.c], forbid_unknown_fields=True, kw_only=True
        )
        self._decoder = msgspec.json.Decoder(self._type)

    def read(self, raw: msgspec.Raw) -> dict[str, Any]:
        """Read one row.

        Raises:
            RowMalformedError: it says where.
        """
        try:
            row = self._decoder.decode(raw)
        except msgspec.DecodeError as error:
            raise RowMalformedError(str(error)) from error
        if _NUL.search(bytes(raw)):
            raise RowMalformedError("must not hold NUL")
        values = {name: getattr(row, name) for name in self._columns}
        for name, value in values.items():
            if isinstance(value, Decimal) and not value.is_finite():
                raise RowMalformedError(f"{name} must be a number - at `$.{name}`")
            if isinstance(value, _Span):
                values[name] = value.as_range()
        return values


def _field(column: sa.Column[Any]) -> tuple[str, Any] | tuple[str, Any, Any]:
    name, kind = str(column.name), _type(column, column.type)
    if column.nullable:
        return name, kind | None, None
    if column.server_default is None:
        return name, kind
    # A document of before the column was added does not have it.
    return name, kind, msgspec.field(default_factory=lambda: _default(column))


def _type(column: sa.Column[Any], kind: sa.types.TypeEngine[Any]) -> Any:
    if isinstance(kind, ARRAY):
        return list[_type(column, kind.item_type)]  # type: ignore[misc]
    if isinstance(kind, sa.Text):
        return _WORDS.get((column.table.name, column.name), str)
    return next(_TYPES[each] for each in type(kind).__mro__ if each in _TYPES)


def _default(column: sa.Column[Any]) -> Any:
    """Answer what PostgreSQL gives to rows that do not say."""
    told = str(getattr(column.server_default, "arg", ""))
    if isinstance(column.type, ARRAY):
        return [each for each in told.strip("{}").split(",") if each]
    if isinstance(column.type, sa.Text):
        return told
    return msgspec.json.decode(told)
