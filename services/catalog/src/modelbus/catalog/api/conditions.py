"""Conditions: `If-Match` is refused, not ignored, where a path has no one thing to compare it with."""

from fastapi import Request

from modelbus.catalog.domain.errors import ConditionNotTakenError
from modelbus.chassis.transactions import is_conditional


async def refuse_unheeded(request: Request) -> None:
    """Refuse a condition that nobody would look at: paths with a transaction have it looked at there.

    Raises:
        ConditionNotTakenError: this path has none.
    """
    if request.method != "GET" and "if-match" in request.headers and not is_conditional(request.scope["route"]):
        raise ConditionNotTakenError
