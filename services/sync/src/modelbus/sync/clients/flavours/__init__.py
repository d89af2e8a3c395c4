"""How listings of each flavour are read: one module a flavour, named like it; a new file is a new flavour."""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import Protocol, cast

from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Fetched


class Flavour(Protocol):
    """What each module here offers."""

    async def list_models(self, endpoint: Endpoint) -> Fetched:
        """Ask the supplier for its models and read the answer in our words.

        Raises:
            TransientError: asking again may help.
            UnusableAnswerError: what came is no listing.
        """
        ...


def find_flavours() -> Mapping[str, Flavour]:
    """Answer every flavour by the name that a supplier gives it."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return {name: cast("Flavour", importlib.import_module(f"{__name__}.{name}")) for name in names}
