"""Access keys over REST."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, Field

from modelbus.catalog.actions import access_keys as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.limits import AtOnce, Budgets, BudgetsView, RequestsPerMinute, ScopeSet, TokensPerMinute
from modelbus.catalog.api.references import ModelSet, WarningView
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, View, page_of
from modelbus.catalog.store import access_keys as store
from modelbus.catalog.store.access_keys import AccessKeyFilter
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/access-keys", tags=["access keys"], route_class=OnceRoute, dependencies=GUARDS)

DAY_S = 24 * 3600


def _in_utc(time: datetime) -> datetime:
    """Write a time as the store gives it back, so that an event and a snapshot tell it by the same bytes."""
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must lie within the years 1 to 9999 of UTC") from error


Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class NewAccessKey(Input):
    """A key for a consumer."""

    name: Name
    expires_at: Time | None = None
    """A time to come, with its offset from UTC; null never expires."""
    model_ids: ModelSet | None = None
    """The models it may call; null lets it call every model that its consumer may."""
    consumer_id: UUID | None = None
    """Whose key it is; what the consumer may not, none of its keys may. Null is nobody's."""
    scope_ids: ScopeSet | None = None
    """The scopes it may name; null lets it name every scope that its consumer may."""
    rpm_limit: RequestsPerMinute | None = None
    tpm_limit: TokensPerMinute | None = None
    concurrency_limit: AtOnce | None = None
    budgets: Budgets = Field(default_factory=Budgets)

    def fields(self) -> dict[str, Any]:
        """Answer what the access key is made of."""
        return {**self.model_dump(), "budgets": self.budgets.kept()}


class AccessKeyChanges(Changes):
    """Fields to change; models, scopes and budgets that are given replace all that there were."""

    name: Name = ""
    expires_at: Time | None = None
    model_ids: ModelSet | None = None
    consumer_id: UUID | None = None
    scope_ids: ScopeSet | None = None
    rpm_limit: RequestsPerMinute | None = None
    tpm_limit: TokensPerMinute | None = None
    concurrency_limit: AtOnce | None = None
    budgets: Budgets = Field(default_factory=Budgets)

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        fields = super().given()
        return {**fields, "budgets": self.budgets.kept()} if "budgets" in fields else fields


class Rotation(Input):
    """How the key before gives way."""

    grace_s: Annotated[int, Field(ge=0, le=30 * DAY_S)] = DAY_S
    """Seconds until the key before ceases to open; 0 ends it at once, as when it has leaked."""


class AccessKeyView(View):
    """An access key as administrators see it."""

    id: UUID
    name: str
    prefix: str
    """The first characters of the key, to tell it from others."""
    is_active: bool
    expires_at: datetime | None
    model_ids: list[UUID] | None
    consumer_id: UUID | None
    scope_ids: list[UUID] | None
    rpm_limit: int | None
    tpm_limit: int | None
    concurrency_limit: int | None
    budgets: BudgetsView
    previous_expires_at: datetime | None
    """Until then the key before the last rotation opens too; null when it does not."""
    last_used_at: datetime | None
    """As far as routers have told their usage."""
    warnings: list[WarningView]
    """What it names and can't use right now."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class MintedAccessKey(AccessKeyView):
    """An access key with the key itself."""

    key: str
    """Shown this once; only its hash is kept."""


async def _read_filter(  # noqa: PLR0913 - one parameter for each filter
    *,
    name: Annotated[str | None, Query(max_length=200)] = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of the name, or the prefix.")] = None,
    consumer_id: UUID | None = None,
    is_active: bool | None = None,
    model_id: Annotated[UUID | None, Query(description="Whose own list of models lets them call it.")] = None,
    scope_id: Annotated[UUID | None, Query(description="Whose own list of scopes lets them name it.")] = None,
    has_stale: Annotated[bool | None, Query(description="Whether it names a model that is not available.")] = None,
    expires_before: Annotated[Time | None, Query(description="Leaves out what never expires.")] = None,
) -> AccessKeyFilter:
    return AccessKeyFilter(name, search, consumer_id, is_active, model_id, scope_id, has_stale, expires_before)


Wanted = Annotated[AccessKeyFilter, Depends(_read_filter)]


@routes.get("")
async def list_access_keys(session: Reading, paging: ByName, wanted: Wanted) -> Page[AccessKeyView]:
    """List access keys, with what of them is stale."""
    return page_of(AccessKeyView, await store.list_access_keys(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_access_key(new: NewAccessKey, session: Transaction, answer: Shown) -> MintedAccessKey:
    """Make an access key; the answer is the only place where the key itself is shown."""
    made, key = await actions.create_access_key(session, new.fields())
    shown = await show_access_key(made.id, session, answer)
    return MintedAccessKey(**shown.model_dump(), key=key)


@routes.get("/{access_key_id}")
async def show_access_key(access_key_id: UUID, session: Reading, answer: Shown) -> AccessKeyView:
    """Show an access key, and what of it is stale."""
    return answer(AccessKeyView, await store.show_access_key(session, access_key_id))


@routes.patch("/{access_key_id}")
async def change_access_key(
    access_key_id: UUID, changes: AccessKeyChanges, session: Transaction, answer: Shown
) -> AccessKeyView:
    """Change some fields of an access key; the key itself stays."""
    await actions.change_access_key(session, access_key_id, changes.given())
    return await show_access_key(access_key_id, session, answer)


@routes.put("/{access_key_id}")
async def replace_access_key(
    access_key_id: UUID, new: NewAccessKey, session: Transaction, answer: Shown
) -> AccessKeyView:
    """Set every field of an access key; the key itself stays."""
    await actions.change_access_key(session, access_key_id, new.fields())
    return await show_access_key(access_key_id, session, answer)


@routes.delete("/{access_key_id}", status_code=204)
async def delete_access_key(access_key_id: UUID, session: Transaction) -> None:
    """Delete an access key; whoever presents it is refused from then on."""
    await actions.delete_access_key(session, access_key_id)


@routes.post("/{access_key_id}/rotate")
async def rotate_access_key(
    access_key_id: UUID, session: Transaction, answer: Shown, rotation: Rotation | None = None
) -> MintedAccessKey:
    """Make another key in its place, shown in this answer alone; the key before opens until its grace is over.

    While an earlier key has its grace the next rotation is refused, unless it gives none: then both end at once.
    """
    grace = timedelta(seconds=(rotation or Rotation()).grace_s)
    _rotated, key = await actions.rotate_access_key(session, access_key_id, grace)
    shown = await show_access_key(access_key_id, session, answer)
    return MintedAccessKey(**shown.model_dump(), key=key)


@routes.post("/{access_key_id}/enable")
async def enable_access_key(access_key_id: UUID, session: Transaction, answer: Shown) -> AccessKeyView:
    """Put an access key into service."""
    await actions.change_access_key(session, access_key_id, {"is_active": True})
    return await show_access_key(access_key_id, session, answer)


@routes.post("/{access_key_id}/disable")
async def disable_access_key(access_key_id: UUID, session: Transaction, answer: Shown) -> AccessKeyView:
    """Take an access key out of service; whoever presents it is refused until it is enabled."""
    await actions.change_access_key(session, access_key_id, {"is_active": False})
    return await show_access_key(access_key_id, session, answer)
