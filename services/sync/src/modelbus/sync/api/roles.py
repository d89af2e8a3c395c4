"""Which role each path of sync needs."""

from modelbus.chassis.roles import EDITOR, OF_PARKED, SERVICE, VIEWER, Roles
from modelbus.sync.api import flavours

ROLES: Roles = {
    # Runs, and what came of them
    "/api/v1/runs": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/runs/{run_id}": {"GET": VIEWER},
    "/api/v1/runs/{run_id}/cancel": {"POST": EDITOR},
    "/api/v1/runs/{run_id}/listing": {"GET": SERVICE},
    "/api/v1/runs/{run_id}/prices/held": {"GET": VIEWER},
    "/api/v1/runs/{run_id}/prices/accept": {"POST": EDITOR},
    "/api/v1/runs/{run_id}/raw": {"GET": VIEWER},
    "/api/v1/runs/{run_id}/replay": {"POST": EDITOR},
    "/api/v1/listings/{run_id}": {"GET": VIEWER},
    "/api/v1/listings/{run_id}/apply": {"POST": EDITOR},
    "/api/v1/listings/{run_id}/discard": {"POST": EDITOR},
    # What is left out, kept back, looked at and added
    "/api/v1/ignore-rules": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/ignore-rules/preview": {"POST": VIEWER},
    "/api/v1/ignore-rules/{rule_id}": {"GET": VIEWER, "DELETE": EDITOR},
    "/api/v1/guards": {"GET": VIEWER},
    "/api/v1/guards/{supplier_id}": {"GET": VIEWER, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/probes": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/probes/{supplier_id}/tokens": {"PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/metadata": {"GET": VIEWER},
    "/api/v1/metadata/refresh": {"POST": EDITOR},
    "/api/v1/metadata/matches": {"GET": VIEWER},
    # What the catalog asks
    flavours.PATH: {"GET": SERVICE},
    # Operations
    **OF_PARKED,
}
