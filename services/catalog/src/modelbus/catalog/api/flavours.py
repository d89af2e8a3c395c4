"""How a supplier's listing is read: a word that sync has a module for, be it newer than this catalog."""

from typing import Annotated

from fastapi import Request
from pydantic import Field

from modelbus.catalog.api.made import made
from modelbus.catalog.clients.sync import SyncClient
from modelbus.catalog.domain.errors import UnknownFlavourError
from modelbus.catalog.domain.suppliers import Flavour

FlavourWord = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=50, examples=sorted(Flavour))]


class Flavours:
    """Asks sync about words that the catalog does not know by itself."""

    def __init__(self, request: Request) -> None:
        self._sync: SyncClient = request.app.state.sync

    async def check(self, word: str | None) -> None:
        """Refuse a word that sync has no module for.

        Raises:
            UnknownFlavourError: it has none, or can't be asked.
        """
        if word is None or word in set(Flavour):
            return
        known = await self._sync.flavours()
        if known is None or word not in known:
            raise UnknownFlavourError(word, known)


AskedFlavours = Annotated[Flavours, made(Flavours)]
