"""What each path of a service needs: one row per path, one role per method; a path without a row is for admins alone.

`PUBLIC` needs no token; `SERVICE` is open to a service's token and to every person; each of `VIEWER`, `EDITOR` and
`ADMIN` may do all that the one before it may.
"""

from collections.abc import Iterator, Mapping

from modelbus.chassis.callers import Caller, Role

PUBLIC = None
SERVICE, VIEWER, EDITOR, ADMIN = Role.SERVICE, Role.VIEWER, Role.EDITOR, Role.ADMIN

type Roles = Mapping[str, Mapping[str, Role | None]]

OF_PARKED: Roles = {
    "/api/v1/parked": {"GET": ADMIN},
    "/api/v1/parked/{parked_id}": {"GET": ADMIN, "DELETE": ADMIN},
    "/api/v1/parked/{parked_id}/retry": {"POST": ADMIN},
}
"""Of the paths that every service with a database has."""


class RoleTooLowError(Exception):
    """The caller's role is not enough for this path."""

    code = "forbidden"

    def __init__(self, needed: Role) -> None:
        super().__init__(f"this needs the role '{needed}'")


def needed_by(roles: Roles, method: str, path: str) -> Role | None:
    """Answer the role that a path, as the table writes it, needs; None where it is public."""
    return roles.get(path, {}).get(method, ADMIN)


def is_enough(caller: Caller, needed: Role) -> bool:
    """Tell whether the caller's role is."""
    return caller.may(needed) or (needed is SERVICE and (caller.role == SERVICE or caller.may(VIEWER)))


def rows_with(roles: Roles, wanted: Role | None) -> Iterator[tuple[str, str]]:
    """Answer method and path of each row that needs just that."""
    return ((method, path) for path, row in roles.items() for method, role in row.items() if role is wanted)
