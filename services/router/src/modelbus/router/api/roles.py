"""Which role each path of the router's administration needs."""

from modelbus.chassis.roles import SERVICE, VIEWER, Roles
from modelbus.router.api import cache, explain

ROLES: Roles = {
    cache.PATH: {"GET": SERVICE},
    "/api/v1/breakers": {"GET": VIEWER},
    explain.PATH: {"POST": VIEWER},
}

BY_ACCESS_KEY = frozenset({("POST", explain.PATH)})
"""What an access key opens too; the path sees to that itself."""
