"""Which flavours of listing can be read here: one module each."""

from fastapi import APIRouter
from pydantic import BaseModel

from modelbus.sync.clients.flavours import find_flavours

PATH = "/api/v1/flavours"
routes = APIRouter(prefix=PATH, tags=["flavours"])


class Flavours(BaseModel):
    """Words for a supplier's `flavour`."""

    items: list[str]


@routes.get("")
async def list_flavours() -> Flavours:
    """List the flavours that can be read here; the catalog asks about those that it does not know by itself."""
    return Flavours(items=sorted(find_flavours()))
