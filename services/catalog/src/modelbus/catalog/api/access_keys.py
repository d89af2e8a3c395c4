"""Access keys over REST."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, AwareDatetime

from modelbus.catalog.actions import access_keys as actions
from modelbus.catalog.api.references import ModelSet
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, View, page_of
from modelbus.catalog.store import access_keys as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.service import Reading, Transaction

routes = APIRouter(prefix="/api/v1/access-keys", tags=["access keys"], route_class=OnceRoute)


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
    """The models it may call; null lets it call every model."""

    def fields(self) -> dict[str, Any]:
        """Answer what the access key is made of."""
        return self.model_dump()


class AccessKeyChanges(Changes):
    """Fields to change; models that are given replace all that there were."""

    name: Name = ""
    expires_at: Time | None = None
    model_ids: ModelSet | None = None


class AccessKeyView(View):
    """An access key as administrators see it."""

    id: UUID
    name: str
    prefix: str
    """The first characters of the key, to tell it from others."""
    is_active: bool
    expires_at: datetime | None
    model_ids: list[UUID] | None
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class MintedAccessKey(AccessKeyView):
    """An access key with the key itself."""

    key: str
    """Shown this once; only its hash is kept."""


@routes.get("")
async def list_access_keys(session: Reading, paging: ByName, name: str | None = None) -> Page[AccessKeyView]:
    """List access keys in order of creation."""
    return page_of(AccessKeyView, await store.list_access_keys(session, name=name, paging=paging), paging)


@routes.post("", status_code=201)
async def create_access_key(new: NewAccessKey, session: Transaction, answer: Shown) -> MintedAccessKey:
    """Make an access key; the answer is the only place where the key itself is shown."""
    made, key = await actions.create_access_key(session, new.fields())
    return MintedAccessKey(**answer(AccessKeyView, made).model_dump(), key=key)


@routes.get("/{access_key_id}")
async def show_access_key(access_key_id: UUID, session: Reading, answer: Shown) -> AccessKeyView:
    """Show an access key."""
    return answer(AccessKeyView, await store.get_access_key(session, access_key_id))


@routes.patch("/{access_key_id}")
async def change_access_key(
    access_key_id: UUID, changes: AccessKeyChanges, session: Transaction, answer: Shown
) -> AccessKeyView:
    """Change some fields of an access key; the key itself stays."""
    return answer(AccessKeyView, await actions.change_access_key(session, access_key_id, changes.given()))


@routes.put("/{access_key_id}")
async def replace_access_key(
    access_key_id: UUID, new: NewAccessKey, session: Transaction, answer: Shown
) -> AccessKeyView:
    """Set every field of an access key; the key itself stays."""
    return answer(AccessKeyView, await actions.change_access_key(session, access_key_id, new.fields()))


@routes.delete("/{access_key_id}", status_code=204)
async def delete_access_key(access_key_id: UUID, session: Transaction) -> None:
    """Delete an access key; whoever presents it is refused from then on."""
    await actions.delete_access_key(session, access_key_id)


@routes.post("/{access_key_id}/enable")
async def enable_access_key(access_key_id: UUID, session: Transaction, answer: Shown) -> AccessKeyView:
    """Put an access key into service."""
    return answer(AccessKeyView, await actions.change_access_key(session, access_key_id, {"is_active": True}))


@routes.post("/{access_key_id}/disable")
async def disable_access_key(access_key_id: UUID, session: Transaction, answer: Shown) -> AccessKeyView:
    """Take an access key out of service; whoever presents it is refused until it is enabled."""
    return answer(AccessKeyView, await actions.change_access_key(session, access_key_id, {"is_active": False}))
