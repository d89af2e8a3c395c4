"""Versions of every kind of thing over REST: what changed, by whom; two compared; back to an earlier one."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import rollback
from modelbus.catalog.actions.versions import differences, document, tag
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.history import (
    Caller,
    Difference,
    InTime,
    Since,
    Until,
    VersionView,
    shown_differences,
    shown_version,
)
from modelbus.catalog.api.history_paths import FOR_ADMINS, PATHS
from modelbus.catalog.api.references import Breaking
from modelbus.catalog.api.views import Input, Page, View
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.models import Model
from modelbus.catalog.store import history as store
from modelbus.catalog.store import models, things
from modelbus.catalog.store.by_time import cursor_of
from modelbus.catalog.store.history import Version, VersionFilter
from modelbus.chassis.callers import Caller as Who
from modelbus.chassis.callers import Role
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1", tags=["versions"], route_class=OnceRoute, dependencies=GUARDS)

Number = Annotated[int, Field(ge=1, le=2**31 - 1)]
Key = Annotated[str, Path(max_length=300, description="Its id; a model goes by its name as well.")]


async def _caller(request: Request) -> Who:
    who: Who = request.state.caller
    return who


Asking = Annotated[Who, Depends(_caller)]


class KeptVersion(VersionView):
    """One version, whole."""

    document: dict[str, Any] | None
    """The configuration as it was then; null where the thing was deleted."""


class Comparison(View):
    """Two versions of one thing."""

    kind: str
    thing_id: UUID
    from_version: int
    to_version: int
    differences: list[Difference]


class Earlier(Input):
    """Which version to go back to."""

    version: Number


class Restored(View):
    """A thing after it went back."""

    kind: str
    thing_id: UUID
    version: int
    """Its version now; the ETag. Where nothing differed it is what it was."""
    document: dict[str, Any]
    """Its configuration now."""


@routes.get("/versions")
async def list_versions(  # noqa: PLR0913, PLR0917 - each is a filter of its own in the query string
    session: Reading,
    page: InTime,
    who: Asking,
    kind: Annotated[str | None, Query(max_length=50, description="`model`, `chain`, `supplier` ...")] = None,
    thing_id: UUID | None = None,
    name: Annotated[str | None, Query(max_length=300, description="What it was called then.")] = None,
    caller: Caller = None,
    audit_id: Annotated[UUID | None, Query(description="A line of the audit log: what came of that action.")] = None,
    since: Since = None,
    until: Until = None,
) -> Page[VersionView]:
    """List what changed, the newest first, over all kinds of things."""
    kinds = None if who.may(Role.ADMIN) else [each for each in PATHS if each not in FOR_ADMINS]
    wanted = VersionFilter(kind, thing_id, name, caller, audit_id, since, until, kinds)
    found = await store.list_versions(session, wanted, page=page)
    return _page(found, page.limit, lambda last: cursor_of(last.at, last.kind, last.thing_id, last.number))


def _add_routes(kind: str, path: str) -> None:
    noun = kind.replace("_", " ")

    async def list_versions_of(thing: Key, session: Reading, page: InTime) -> Page[VersionView]:
        thing_id = await _find(session, kind, thing)
        found = await store.list_versions_of(session, kind, thing_id, page=page)
        return _page(found, page.limit, lambda last: cursor_of(last.number))

    async def compare_versions(
        thing: Key,
        session: Reading,
        older: Annotated[Number, Query(alias="from")],
        newer: Annotated[Number, Query(alias="to")],
    ) -> Comparison:
        thing_id = await _find(session, kind, thing)
        _older, before = await store.get_version(session, kind, thing_id, older)
        _newer, after = await store.get_version(session, kind, thing_id, newer)
        return Comparison(
            kind=kind,
            thing_id=thing_id,
            from_version=older,
            to_version=newer,
            differences=shown_differences(differences(before, after)),
        )

    async def show_version(thing: Key, number: Annotated[Number, Path()], session: Reading) -> KeptVersion:
        version, kept = await store.get_version(session, kind, await _find(session, kind, thing), number)
        return KeptVersion(**dict(shown_version(version)), document=kept)

    list_versions_of.__doc__ = f"List the versions of a {noun}, be it deleted, the newest first."
    compare_versions.__doc__ = f"Show what differs between two versions of a {noun}."
    show_version.__doc__ = f"Show one version of a {noun}, whole."
    routes.get(f"{path}/versions", name=f"list_versions_of_{kind}")(list_versions_of)
    routes.get(f"{path}/versions/compare", name=f"compare_versions_of_{kind}")(compare_versions)
    routes.get(f"{path}/versions/{{number}}", name=f"show_version_of_{kind}")(show_version)


def _add_rollback(kind: str, path: str) -> None:
    async def roll_back(
        thing: Key, earlier: Earlier, session: Transaction, consent: Breaking, response: Response
    ) -> Restored:
        thing_id = await _find(session, kind, thing)
        now = await rollback.roll_back(session, kind, thing_id, earlier.version, consent)
        response.headers["ETag"] = tag(now)
        return Restored(kind=kind, thing_id=now.id, version=now.version, document=document(now))

    roll_back.__doc__ = f"""Make a {kind.replace("_", " ")} what an earlier version says, as a new version.

    One that was deleted comes back, if its name is free. Refused, with each of them named, where the version refers
    to something that was deleted meanwhile.
    """
    routes.post(f"{path}/rollback", name=f"roll_back_{kind}")(roll_back)


async def _find(session: AsyncSession, kind: str, key: str) -> UUID:
    """Answer the id of a thing, be it deleted; a living model goes by its name as well."""
    try:
        thing_id = UUID(key)
    except ValueError:
        if kind == Model.KIND:
            return (await models.get_model(session, key)).id
        raise NotFoundError(kind, key) from None
    if not await things.is_there(session, kind, thing_id):
        raise NotFoundError(kind, key)
    return thing_id


def _page(found: list[Version], limit: int, cursor: Callable[[Version], str]) -> Page[VersionView]:
    shown = found[:limit]
    return Page(
        items=[shown_version(each) for each in shown], next_cursor=cursor(shown[-1]) if len(found) > limit else None
    )


for _kind, _path in PATHS.items():
    _add_routes(_kind, _path)
    if _kind in rollback.RESTORE:
        _add_rollback(_kind, _path)
