"""Which role each path of integrity needs."""

from modelbus.chassis.roles import EDITOR, OF_PARKED, SERVICE, VIEWER, Roles
from modelbus.integrity.api import proposals

ROLES: Roles = {
    # What is not sound, and what mends it
    "/api/v1/findings": {"GET": VIEWER},
    "/api/v1/findings/{finding_id}": {"GET": VIEWER},
    "/api/v1/findings/{finding_id}/acknowledge": {"POST": EDITOR},
    "/api/v1/stale-references": {"GET": VIEWER},
    # The catalog asks once more, as whoever repairs.
    "/api/v1/repairs/{finding_id}": {"POST": EDITOR},
    "/api/v1/sweeps": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/sweeps/{sweep_id}": {"GET": VIEWER},
    # Who names what, and what would be if
    "/api/v1/references": {"GET": VIEWER},
    "/api/v1/impact": {"GET": VIEWER},
    "/api/v1/forecast": {"GET": VIEWER},
    "/api/v1/validate": {"POST": VIEWER},
    "/api/v1/fallback-chains/{chain_id}/validation": {"GET": VIEWER},
    # The catalog asks when somebody saves.
    proposals.PATH: {"POST": SERVICE},
    # Operations
    **OF_PARKED,
}
