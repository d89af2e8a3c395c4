"""Listings that come in pages: asked for one after another, with an end to it whatever the supplier answers."""

from collections.abc import Awaitable, Callable
from typing import Any

from modelbus.sync.clients.entries import Entry, list_in
from modelbus.sync.domain.errors import UnusableAnswerError
from modelbus.sync.domain.names import readable

MOST_PAGES = 200
"""The limits of size and time are over all of them together."""


async def read_pages(
    ask: Callable[[str | None], Awaitable[Any]], key: str, next_of: Callable[[Entry], object]
) -> list[Any]:
    """Answer the entries under the key of every page.

    `ask` gets the page of a cursor, the first one for None; `next_of` reads the cursor of the page after it, None
    from the last.

    Raises:
        UnusableAnswerError: a page is none, or they do not come to an end.
    """
    entries: list[Any] = []
    cursor: str | None = None
    known: set[str] = set()
    for _ in range(MOST_PAGES):
        page = await ask(cursor)
        entries += list_in(page, key)
        following = next_of(page) if isinstance(page, dict) else None
        if following is None:
            return entries
        if not isinstance(following, str) or not following:
            raise UnusableAnswerError("a page says that more follows, and not where")
        if following in known:
            raise UnusableAnswerError(f"the pages go in a circle: '{readable(following, 80)}' comes again")
        known.add(following)
        cursor = following
    raise UnusableAnswerError(f"the listing has more than {MOST_PAGES} pages")
