"""How many statements an answer takes."""

from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Engine, event
from structlog.contextvars import get_contextvars


async def selects_of(look: Callable[[], Awaitable[Any]]) -> int:
    """Count the statements that read for a request; the clock's own fall in between and have no request's id."""
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "request_id" in get_contextvars():
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        await look()
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    return sum("SELECT" in statement for statement in statements)
