"""How many statements an answer takes."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

LOOKS = 3


async def selects_of(look: Callable[[], Awaitable[Any]]) -> int:
    """Count the statements that read; the clock's work may fall into one of the looks, but not into each."""
    counts = []
    for _ in range(LOOKS):
        with _counted() as statements:
            await look()
        counts.append(sum("SELECT" in statement for statement in statements))
    return min(counts)


@contextmanager
def _counted() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", count)
