"""Lists in what callers ask, whichever protocol it is to be said in."""

from collections.abc import Mapping
from typing import Any

from modelbus.router.domain.errors import UntranslatableError


def list_in(holder: Mapping[str, Any], name: str, where: str = "") -> list[Any]:
    """Answer the list of that name; none is empty. `where` says what holds it, unless the request itself does.

    Raises:
        UntranslatableError: it is something else.
    """
    given = holder.get(name)
    if given is None:
        return []
    if not isinstance(given, list):
        raise UntranslatableError(f"{where}.{name}" if where else name, "it must be a list")
    return given
