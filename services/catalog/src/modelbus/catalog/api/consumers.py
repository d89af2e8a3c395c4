"""Consumers over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field

from modelbus.catalog.actions import consumers as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.limits import AtOnce, Budgets, BudgetsView, RequestsPerMinute, ScopeSet, TokensPerMinute
from modelbus.catalog.api.references import ModelSet, Search, WarningView
from modelbus.catalog.api.views import Changes, Input, Name, Page, Shown, Text, View, page_of, sorted_by
from modelbus.catalog.domain.consumers import ConsumerKind
from modelbus.catalog.domain.models import Tier
from modelbus.catalog.store import consumers as store
from modelbus.catalog.store.consumers import ConsumerFilter
from modelbus.catalog.store.paging import Paging
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/consumers", tags=["consumers"], route_class=OnceRoute, dependencies=GUARDS)


class NewConsumer(Input):
    """A tenant or user who calls the router."""

    name: Name
    kind: ConsumerKind
    tier: Tier = Tier.FREE
    """Which models it may use: those that need this tier, or one before it in free, pro, max, own."""
    description: Text | None = None
    is_active: bool = True
    model_ids: ModelSet | None = None
    """The models it may call; null lets it call every model of its tier."""
    scope_ids: ScopeSet | None = None
    """The scopes it may name; null lets it name every scope."""
    rpm_limit: RequestsPerMinute | None = None
    tpm_limit: TokensPerMinute | None = None
    concurrency_limit: AtOnce | None = None
    budgets: Budgets = Field(default_factory=Budgets)

    def fields(self) -> dict[str, Any]:
        """Answer what the consumer is made of."""
        return {**self.model_dump(), "budgets": self.budgets.kept()}


class ConsumerChanges(Changes):
    """Fields to change; models, scopes and budgets that are given replace all that there were."""

    name: Name = ""
    kind: ConsumerKind = ConsumerKind.TENANT
    tier: Tier = Tier.FREE
    description: Text | None = None
    is_active: bool = True
    model_ids: ModelSet | None = None
    scope_ids: ScopeSet | None = None
    rpm_limit: RequestsPerMinute | None = None
    tpm_limit: TokensPerMinute | None = None
    concurrency_limit: AtOnce | None = None
    budgets: Budgets = Field(default_factory=Budgets)

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        fields = super().given()
        return {**fields, "budgets": self.budgets.kept()} if "budgets" in fields else fields


class ConsumerView(View):
    """A consumer as administrators see it; limits and budgets are over all its access keys."""

    id: UUID
    name: str
    kind: str
    tier: str
    description: str | None
    is_active: bool
    model_ids: list[UUID] | None
    scope_ids: list[UUID] | None
    rpm_limit: int | None
    tpm_limit: int | None
    concurrency_limit: int | None
    budgets: BudgetsView
    access_keys: int
    """How many it holds."""
    warnings: list[WarningView]
    """What it names and can't use right now: a model or scope that is away, or a model above its tier."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


async def _read_filter(  # noqa: PLR0913 - one parameter for each filter
    *,
    name: Annotated[str | None, Query(max_length=200)] = None,
    search: Search = None,
    kind: ConsumerKind | None = None,
    tier: Tier | None = None,
    is_active: bool | None = None,
    model_id: Annotated[UUID | None, Query(description="Whose list of models lets them call it.")] = None,
    scope_id: Annotated[UUID | None, Query(description="Whose list of scopes lets them name it.")] = None,
    has_stale: Annotated[bool | None, Query(description="Whether it names a model that is not available.")] = None,
) -> ConsumerFilter:
    return ConsumerFilter(name, search, is_active, model_id, has_stale, kind=kind, tier=tier, scope_id=scope_id)


Wanted = Annotated[ConsumerFilter, Depends(_read_filter)]
Sorted = Annotated[Paging, sorted_by("name", "updated_at", "kind", "tier")]


@routes.get("")
async def list_consumers(session: Reading, paging: Sorted, wanted: Wanted) -> Page[ConsumerView]:
    """List consumers, with what of them is stale."""
    return page_of(ConsumerView, await store.list_consumers(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_consumer(new: NewConsumer, session: Transaction, answer: Shown) -> ConsumerView:
    """Add a consumer; give it access keys at `/api/v1/access-keys`."""
    consumer = await actions.create_consumer(session, new.fields())
    return await show_consumer(consumer.id, session, answer)


@routes.get("/{consumer_id}")
async def show_consumer(consumer_id: UUID, session: Reading, answer: Shown) -> ConsumerView:
    """Show a consumer, and what of it is stale."""
    return answer(ConsumerView, await store.show_consumer(session, consumer_id))


@routes.patch("/{consumer_id}")
async def change_consumer(
    consumer_id: UUID, changes: ConsumerChanges, session: Transaction, answer: Shown
) -> ConsumerView:
    """Change some fields of a consumer; models, scopes and budgets that are given replace all that there were."""
    await actions.change_consumer(session, consumer_id, changes.given())
    return await show_consumer(consumer_id, session, answer)


@routes.put("/{consumer_id}")
async def replace_consumer(consumer_id: UUID, new: NewConsumer, session: Transaction, answer: Shown) -> ConsumerView:
    """Set every field of a consumer."""
    await actions.change_consumer(session, consumer_id, new.fields())
    return await show_consumer(consumer_id, session, answer)


@routes.delete("/{consumer_id}", status_code=204)
async def delete_consumer(consumer_id: UUID, session: Transaction) -> None:
    """Delete a consumer with its access keys; whoever presents one of them is refused from then on."""
    await actions.delete_consumer(session, consumer_id)


@routes.post("/{consumer_id}/enable")
async def enable_consumer(consumer_id: UUID, session: Transaction, answer: Shown) -> ConsumerView:
    """Put a consumer into service; those of its access keys that are enabled open again."""
    await actions.change_consumer(session, consumer_id, {"is_active": True})
    return await show_consumer(consumer_id, session, answer)


@routes.post("/{consumer_id}/disable")
async def disable_consumer(consumer_id: UUID, session: Transaction, answer: Shown) -> ConsumerView:
    """Take a consumer out of service; none of its access keys opens anything until it is enabled."""
    await actions.change_consumer(session, consumer_id, {"is_active": False})
    return await show_consumer(consumer_id, session, answer)
