"""The feed over HTTP: how anyone follows the catalog, whatever happens to the bus."""

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from modelbus.catalog.actions import feed as actions
from modelbus.catalog.actions.feed import KINDS, SECRETS, Feed
from modelbus.catalog.api.auth import Admitted
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.domain.errors import UnknownKindError
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.outbox import Head as Position
from modelbus.chassis.roles import ADMIN, SERVICE, RoleTooLowError
from modelbus.chassis.transactions import Reading

routes = APIRouter(prefix="/api/v1", tags=["feed"], dependencies=GUARDS)

JSON = "application/json"


async def _feed(request: Request) -> Feed:
    feed: Feed = request.app.state.feed
    return feed


TheFeed = Annotated[Feed, Depends(_feed)]


@routes.get("/snapshot")
async def snapshot(
    feed: TheFeed,
    admitted: Admitted,
    kinds: Annotated[str | None, Query(max_length=500, description="Kinds of record, with commas between.")] = None,
    if_none_match: Annotated[str | None, Header()] = None,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Show every record at the newest revision; the ETag is `<epoch>-<revision>`.

    Credentials and access keys are for services and admins alone; others are shown every other kind.
    """
    asked, is_zipped = _kinds(kinds, admitted.caller), "gzip" in accept_encoding
    if if_none_match is not None and if_none_match == _tag(newest := await feed.position()):
        return Response(status_code=304, headers=_headers(newest))
    body = await feed.snapshot(asked, is_zipped=is_zipped)
    headers = _headers(body.position) | ({"Content-Encoding": "gzip"} if is_zipped else {})
    return Response(body.content, media_type=JSON, headers=headers)


@routes.get("/changes", responses={410: {"description": "The events are kept no longer: take a snapshot."}})
async def changes(
    session: Reading,
    admitted: Admitted,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)],
    epoch: UUID | None = None,
) -> Response:
    """List the events after a revision, in order; 410 when they are kept no longer: take a snapshot then.

    What those of credentials and access keys say is for services and admins alone: to others their `data` is null.
    """
    found = await actions.changes_after(session, outbox, after, epoch)
    told = found if _may_have_secrets(admitted.caller) else actions.without_secrets(found)
    return Response(msgspec.json.encode(told), media_type=JSON)


@routes.get("/head")
async def head(feed: TheFeed) -> Response:
    """Show epoch, revision, and a digest of the records of each kind at that revision."""
    return Response(msgspec.json.encode(await feed.head()), media_type=JSON)


def _tag(position: Position) -> str:
    return f'"{position.epoch}-{position.revision}"'


def _headers(position: Position) -> dict[str, str]:
    return {"ETag": _tag(position), "Cache-Control": "no-cache", "Vary": "Accept-Encoding, Authorization"}


def _kinds(names: str | None, caller: Caller) -> frozenset[str]:
    withheld: frozenset[str] = frozenset() if _may_have_secrets(caller) else SECRETS
    if names is None:
        return frozenset(KINDS) - withheld
    asked = frozenset(name.strip() for name in names.split(","))
    if unknown := asked - KINDS.keys():
        raise UnknownKindError(sorted(unknown), sorted(KINDS))
    if asked & withheld:
        raise RoleTooLowError(ADMIN)
    return asked


def _may_have_secrets(caller: Caller) -> bool:
    return caller.role == SERVICE or caller.may(ADMIN)
