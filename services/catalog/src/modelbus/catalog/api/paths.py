"""Which path goes first: model names hold slashes, so the path of a model alone would swallow all that are longer."""

from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute

_ANYTHING = ":path}"


def in_order(nouns: Iterable[APIRouter]) -> APIRouter:
    """Put all routes into one router, whatever takes anything after whatever is exact, the longest of those first."""
    return APIRouter(routes=sorted((route for noun in nouns for route in noun.routes), key=_swallows))


def _swallows(route: object) -> tuple[bool, int]:
    assert isinstance(route, APIRoute)  # noqa: S101 - nouns hold no other
    _start, takes_anything, rest = route.path.rpartition(_ANYTHING)
    return bool(takes_anything), -rest.count("/")
