"""The last resort: whoever answers others owns up to an error that nobody foresaw, instead of falling silent."""

from collections.abc import Awaitable, Callable


async def attempt(work: Awaitable[None], own_up: Callable[[Exception], Awaitable[None]]) -> None:
    """Do the work; an error that nobody has caught is handed over. Cancellation passes."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - that is the point of it
        await own_up(error)
