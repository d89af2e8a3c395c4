"""What a caller of the router may use now; open to access keys, and to administrators on behalf of one."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import ConfigDict
from starlette.responses import Response

from modelbus.catalog.actions.selector import Body, Selector
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.views import View
from modelbus.catalog.domain.label_errors import AccessKeyRefusedError, WhoseSelectorError

routes = APIRouter(prefix="/api/v1/selector", tags=["selector"], dependencies=GUARDS)

JSON = "application/json"


class _Shown(View):
    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True, extra="forbid")


class ChoiceCapabilityView(_Shown):
    """A capability of a model."""

    name: str
    display_name: str
    config: dict[str, Any]


class ChargeView(_Shown):
    """What is charged: USD per million tokens, per request or per image; null is not known."""

    input: str | None
    output: str | None
    cached_input: str | None
    cache_write: str | None
    reasoning: str | None
    request: str | None
    image: str | None


class ChoiceView(_Shown):
    """A model that may be used."""

    id: UUID
    name: str
    """What requests call it by."""
    display_name: str
    description: str | None
    model_type: str
    sub_type: str | None
    context_window: int | None
    max_output_tokens: int | None
    knowledge_cutoff: date | None
    lifecycle: str
    retires_at: datetime | None
    tier: str
    is_featured: bool
    is_default: bool
    """Serves requests of its type that name no model."""
    capabilities: list[ChoiceCapabilityView]
    tags: list[str]
    price: ChargeView | None


class TagGroupView(_Shown):
    """The models with a tag."""

    id: UUID
    name: str
    display_name: str
    color: str | None
    description: str | None
    model_ids: list[UUID]


class TypeGroupView(_Shown):
    """The models of a type."""

    model_type: str
    default_model_id: UUID | None
    model_ids: list[UUID]


class ChainChoiceView(_Shown):
    """A chain, which requests may name like a model."""

    name: str
    description: str | None


class ScopeChoiceView(_Shown):
    """A scope that requests may name."""

    name: str
    description: str | None
    default_model_id: UUID | None
    model_ids: list[UUID]


class SelectionView(_Shown):
    """What may be used now."""

    models: list[ChoiceView]
    """Featured ones first, then by display name."""
    by_tag: list[TagGroupView]
    by_type: list[TypeGroupView]
    chains: list[ChainChoiceView]
    scopes: list[ScopeChoiceView]


async def _selector(request: Request) -> Selector:
    selector: Selector = request.app.state.selector
    return selector


TheSelector = Annotated[Selector, Depends(_selector)]
Whose = Annotated[UUID | None, Query(description="For administrators: the access key on whose behalf they ask.")]
Within = Annotated[str | None, Query(max_length=200, description="Name of a scope: shows its models alone.")]
Shown = Annotated[
    str | None, Header(max_length=500, description="An access key, where `Authorization` holds none or another token.")
]


@routes.get("", response_model=SelectionView, responses={304: {"description": "It is as the caller has it."}})
async def show_selection(  # noqa: PLR0913, PLR0917 - the query, and the headers that HTTP itself defines
    request: Request,
    selector: TheSelector,
    access_key_id: Whose = None,
    scope: Within = None,
    x_access_key: Shown = None,
    if_none_match: Annotated[str | None, Header(max_length=2000)] = None,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """Show what an access key may use now: available models that it permits, by tag and by type, with their prices.

    An application shows its access key as bearer token or as `X-Access-Key`; an administrator names one by
    `access_key_id`, or shows it as `X-Access-Key`. Nothing tells who supplies a model. Ask again with the ETag as
    `If-None-Match`.
    """
    shown = x_access_key or _bearer(request)
    if x_access_key is None and hasattr(request.state, "caller"):
        if access_key_id is None:
            raise WhoseSelectorError
        body = await selector.show_of(access_key_id, scope)
    elif shown is None:
        raise AccessKeyRefusedError
    else:
        body = await selector.show_to(shown, scope, access_key_id=access_key_id)
    if if_none_match is not None and _is_among(body.etag, if_none_match):
        return Response(status_code=304, headers=_headers(body))
    if "gzip" not in accept_encoding:
        return Response(body.content, media_type=JSON, headers=_headers(body))
    body = await selector.zip(body)
    return Response(body.zipped, media_type=JSON, headers=_headers(body) | {"Content-Encoding": "gzip"})


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _is_among(etag: str, condition: str) -> bool:
    """Compare as RFC 9110 has it for `If-None-Match`: weakly."""
    opaque = etag.removeprefix("W/")
    return condition.strip() == "*" or opaque in {each.strip().removeprefix("W/") for each in condition.split(",")}


def _headers(body: Body) -> dict[str, str]:
    vary = "Authorization, X-Access-Key, Accept-Encoding"
    return {"ETag": body.etag, "Cache-Control": "private, no-cache", "Vary": vary}
