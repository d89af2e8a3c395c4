"""Ignore rules over HTTP: listed, tried, written, deleted."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from modelbus.chassis.transactions import Reading, Transaction
from modelbus.sync.actions import ignore_rules as acting
from modelbus.sync.api.dependencies import Known
from modelbus.sync.domain.errors import DanglingReferenceError
from modelbus.sync.domain.ignore_rules import IgnoreRule
from modelbus.sync.domain.names import LONGEST_NAME
from modelbus.sync.store import ignore_rules

routes = APIRouter(prefix="/api/v1/ignore-rules", tags=["ignore rules"])


class RuleView(BaseModel):
    """Names that are left out of listings."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    supplier_id: UUID | None
    """Null is every supplier."""
    pattern: str
    note: str | None
    created_by: str
    created_at: datetime


class RuleList(BaseModel):
    """All of them, oldest first."""

    items: list[RuleView]


class Pattern(BaseModel):
    """Which names are meant, and whose."""

    model_config = ConfigDict(extra="forbid")

    pattern: str = Field(min_length=1, max_length=LONGEST_NAME)
    """`*` is any text, `?` any letter, `[ab]` one of them; of the whole upstream name, upper and lower case differ."""
    supplier_id: UUID | None = None
    """Null is every supplier."""

    @field_validator("pattern")
    @classmethod
    def _is_writable(cls, given: str) -> str:
        if not given.isprintable() or given != given.strip():
            raise ValueError("must be printable, and neither begin nor end with a space")
        return given


class NewRule(Pattern):
    """A rule to be."""

    note: str | None = Field(default=None, max_length=500)
    """Why; for those who find it later."""

    @field_validator("note")
    @classmethod
    def _is_storable(cls, given: str | None) -> str | None:
        if given is not None and "\x00" in given:
            raise ValueError("must not hold the character NUL")
        return given


class LeftView(BaseModel):
    """A model that the pattern would leave out."""

    supplier_id: UUID
    supplier_name: str | None
    upstream_name: str


class Preview(BaseModel):
    """What a pattern matches in the listings that were applied last."""

    count: int
    items: list[LeftView]
    """The first thousand, by supplier and name."""

    @classmethod
    def of(cls, left: list[LeftView]) -> Self:
        """Show the first of them."""
        return cls(count=len(left), items=left[:1000])


@routes.get("")
async def list_rules(session: Reading, supplier_id: Annotated[UUID | None, Query()] = None) -> RuleList:
    """List rules; with a supplier those that hold for it, its own and those for all."""
    found = await ignore_rules.list_rules(session, supplier_id)
    return RuleList(items=[RuleView.model_validate(rule) for rule in found])


@routes.post("", status_code=201)
async def create_rule(wanted: NewRule, session: Transaction, known: Known, request: Request) -> RuleView:
    """Ignore a pattern from the next listings on: what the catalog has of such names stays as it is."""
    _require_supplier(known, wanted)
    by = request.state.caller.name
    return _view(await acting.create_rule(session, wanted.supplier_id, wanted.pattern, wanted.note, by))


@routes.post("/preview")
async def preview_rule(wanted: Pattern, session: Reading, known: Known) -> Preview:
    """Show what a pattern would leave out of the listings that were applied last; nothing is written."""
    _require_supplier(known, wanted)
    left = await acting.preview_rule(session, wanted.supplier_id, wanted.pattern)
    return Preview.of(
        [
            LeftView(
                supplier_id=each.supplier_id,
                supplier_name=known.name_of(each.supplier_id),
                upstream_name=each.upstream_name,
            )
            for each in left
        ]
    )


@routes.get("/{rule_id}")
async def show_rule(rule_id: UUID, session: Reading) -> RuleView:
    """Show one rule."""
    return _view(await ignore_rules.find_rule(session, rule_id))


@routes.delete("/{rule_id}", status_code=204)
async def delete_rule(rule_id: UUID, session: Transaction) -> None:
    """Heed such names again, from the next listings on."""
    await ignore_rules.delete_rule(session, rule_id)


def _view(rule: IgnoreRule) -> RuleView:
    return RuleView.model_validate(rule)


def _require_supplier(known: Known, wanted: Pattern) -> None:
    if wanted.supplier_id is not None and known.supplier(wanted.supplier_id) is None:
        raise DanglingReferenceError("supplier_id", "supplier", wanted.supplier_id)
