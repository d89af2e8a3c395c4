"""What every path asks before it begins."""

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from modelbus.catalog.api.conditions import refuse_unheeded
from modelbus.catalog.domain.errors import InvalidQueryError
from modelbus.chassis.auth import guard


async def refuse_unknown_query(request: Request) -> None:
    """Refuse a parameter that the path does not have: a misspelt `dry_run` or filter must not be taken for none.

    Raises:
        InvalidQueryError: there is one.
    """
    if not request.query_params:
        return
    known = query_of(request.scope["route"].dependant)
    for name in request.query_params.keys() - known:
        wanted = f"one of {', '.join(sorted(known))}" if known else "left out: this path takes none"
        raise InvalidQueryError(name, f"must be {wanted}")


def query_of(dependant: Dependant) -> set[str]:
    """Answer the names of the query's parameters that a path and all it depends on take."""
    own = {each.alias for each in dependant.query_params}
    return own.union(*map(query_of, dependant.dependencies))


GUARDS_OF_CALLBACKS = (Depends(guard), Depends(refuse_unheeded))
"""Where others send a browser to: they may add parameters of their own."""
GUARDS = (*GUARDS_OF_CALLBACKS, Depends(refuse_unknown_query))
"""Of each noun's own router, not of one around them all, whose paths FastAPI compares three times over."""
