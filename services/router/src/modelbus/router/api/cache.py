"""The router's copy of the catalog, as an administrator sees it."""

from math import isinf
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.table import SHELVES
from modelbus.router.domain.errors import NotLoadedError

PATH = "/api/v1/cache"


class CacheView(BaseModel):
    """How the copy stands."""

    epoch: UUID | None
    """Revisions of different epochs can't be compared; null before anything was loaded."""
    revision: int
    """The catalog's revision that is in force here."""
    head: int
    """The newest revision that this router has heard of."""
    age_s: float | None
    """Seconds since the copy was known to be the truth; null if it never was."""
    is_loaded: bool
    is_stale: bool
    """Nobody has confirmed lately that the copy is the truth; it is served all the same."""
    digests: dict[str, str]
    """The digest of each kind; at equal revision the catalog's head tells the same."""
    counts: dict[str, int]
    """Records of each kind."""
    unreadable: dict[str, int]
    """Records of each kind that this version can't read and leaves out."""
    alarms: int
    """How often an audit has found the copy to differ from the truth."""


def routes(catalog: CatalogCopy) -> APIRouter:
    """Answer the routes over this copy."""
    cache = APIRouter(prefix=PATH, tags=["cache"])

    @cache.get("")
    async def show_cache() -> CacheView:
        """Show which revision of the catalog is in force here, and how fresh it is."""
        return _view(catalog)

    return cache


def _view(catalog: CatalogCopy) -> CacheView:
    follower = catalog.follower
    try:
        shelves = catalog.table.shelves
    except NotLoadedError:
        shelves = {}
    return CacheView(
        epoch=follower.epoch,
        revision=follower.revision,
        head=follower.head,
        age_s=None if isinf(follower.age_s) else round(follower.age_s, 3),
        is_loaded=follower.is_loaded,
        is_stale=follower.is_stale,
        digests=follower.digests(),
        counts={kind: len(shelves[kind]) if kind in shelves else 0 for kind in SHELVES},
        unreadable={kind: len(shelf.unreadable) for kind, shelf in shelves.items() if shelf.unreadable},
        alarms=follower.alarms,
    )
