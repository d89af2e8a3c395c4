"""Which role each path of the catalog needs."""

from fastapi import Request

from modelbus.catalog.actions.failures import audit_failure
from modelbus.catalog.actions.rollback import RESTORE
from modelbus.catalog.api.history_paths import FOR_ADMINS, PATHS
from modelbus.chassis.callers import Caller
from modelbus.chassis.roles import ADMIN, EDITOR, OF_PARKED, PUBLIC, SERVICE, VIEWER, Roles

ROLES: Roles = {
    # Supply
    "/api/v1/suppliers": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/suppliers/{supplier_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/suppliers/{supplier_id}/impact": {"GET": VIEWER},
    "/api/v1/suppliers/{supplier_id}/enable": {"POST": EDITOR},
    "/api/v1/suppliers/{supplier_id}/disable": {"POST": EDITOR},
    "/api/v1/suppliers/{supplier_id}/sync": {"POST": EDITOR},
    "/api/v1/credentials": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/credentials/{credential_id}": {"GET": VIEWER, "PATCH": EDITOR, "DELETE": EDITOR},
    "/api/v1/credentials/{credential_id}/impact": {"GET": VIEWER},
    "/api/v1/credentials/reseal": {"POST": ADMIN},
    "/api/v1/credentials/{credential_id}/rotate": {"POST": EDITOR},
    "/api/v1/credentials/{credential_id}/reset": {"POST": EDITOR},
    "/api/v1/credentials/{credential_id}/enable": {"POST": EDITOR},
    "/api/v1/credentials/{credential_id}/disable": {"POST": EDITOR},
    # Models, and what serves them
    "/api/v1/models": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/models/set-default": {"POST": EDITOR},
    "/api/v1/models/bulk": {"POST": EDITOR},
    "/api/v1/models/{model:path}/sources": {"GET": VIEWER},
    "/api/v1/models/{model:path}/provenance": {"GET": VIEWER},
    "/api/v1/models/{model:path}/provenance/release": {"POST": EDITOR},
    "/api/v1/models/{model:path}/prices": {"GET": VIEWER},
    "/api/v1/models/{model:path}/prices/history": {"GET": VIEWER},
    "/api/v1/models/{model:path}/impact": {"GET": VIEWER},
    "/api/v1/models/{model:path}/enable": {"POST": EDITOR},
    "/api/v1/models/{model:path}/disable": {"POST": EDITOR},
    "/api/v1/models/{model:path}/capabilities": {"GET": VIEWER},
    "/api/v1/models/{model:path}/capabilities/{capability_id:uuid}": {"PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/models/{model:path}/categories": {"GET": VIEWER},
    "/api/v1/models/{model:path}/categories/{category_id:uuid}": {"PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/models/{model:path}/tags": {"GET": VIEWER},
    "/api/v1/models/{model:path}/tags/{tag_id:uuid}": {"PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/models/{model:path}/tags/{tag_id:uuid}/release": {"POST": EDITOR},
    "/api/v1/models/{model:path}/set-default": {"POST": EDITOR},
    "/api/v1/models/{model:path}/parameters": {"GET": VIEWER, "PUT": EDITOR, "POST": EDITOR},
    "/api/v1/models/{model:path}/parameters/{name}": {"PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/models/{model:path}": {"GET": VIEWER, "PUT": EDITOR, "PATCH": EDITOR, "DELETE": EDITOR},
    "/api/v1/sources": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/sources/{source_id}": {"GET": VIEWER, "PATCH": EDITOR, "DELETE": EDITOR},
    "/api/v1/sources/{source_id}/prices": {"GET": VIEWER},
    "/api/v1/sources/{source_id}/prices/history": {"GET": VIEWER},
    "/api/v1/sources/{source_id}/impact": {"GET": VIEWER},
    "/api/v1/sources/{source_id}/health": {"GET": VIEWER},
    "/api/v1/sources/{source_id}/enable": {"POST": EDITOR},
    "/api/v1/sources/{source_id}/disable": {"POST": EDITOR},
    "/api/v1/import": {"POST": EDITOR},
    "/api/v1/prices": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/prices/adjust": {"POST": EDITOR},
    "/api/v1/prices/{price_id}": {"PATCH": EDITOR, "DELETE": EDITOR},
    "/api/v1/prices/{price_id}/end": {"POST": EDITOR},
    # Routing
    "/api/v1/fallback-chains": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/fallback-chains/{chain_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/fallback-chains/default": {"POST": EDITOR},
    "/api/v1/fallback-chains/{chain_id}/steps": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/fallback-chains/{chain_id}/steps/{step_id}": {"PATCH": EDITOR, "DELETE": EDITOR},
    "/api/v1/fallback-chains/{chain_id}/reorder": {"POST": EDITOR},
    "/api/v1/fallback-chains/{chain_id}/enable": {"POST": EDITOR},
    "/api/v1/fallback-chains/{chain_id}/disable": {"POST": EDITOR},
    "/api/v1/splits": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/splits/{split_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/splits/{split_id}/enable": {"POST": EDITOR},
    "/api/v1/splits/{split_id}/disable": {"POST": EDITOR},
    "/api/v1/complexity-routing": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/complexity-routing/{routing_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/complexity-routing/{routing_id}/enable": {"POST": EDITOR},
    "/api/v1/complexity-routing/{routing_id}/disable": {"POST": EDITOR},
    "/api/v1/cost-strategies": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/cost-strategies/{strategy_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/cost-strategies/{strategy_id}/candidates": {"GET": VIEWER},
    "/api/v1/cost-strategies/{strategy_id}/impact": {"GET": VIEWER},
    "/api/v1/cost-strategies/{strategy_id}/enable": {"POST": EDITOR},
    "/api/v1/cost-strategies/{strategy_id}/disable": {"POST": EDITOR},
    "/api/v1/routing/available-models": {"GET": VIEWER},
    "/api/v1/scopes": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/scopes/{scope_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/scopes/{scope_id}/impact": {"GET": VIEWER},
    "/api/v1/scopes/{scope_id}/enable": {"POST": EDITOR},
    "/api/v1/scopes/{scope_id}/disable": {"POST": EDITOR},
    # Labels
    "/api/v1/capabilities": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/capabilities/associations": {"GET": VIEWER, "POST": EDITOR, "DELETE": EDITOR},
    "/api/v1/capabilities/{capability_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/categories": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/categories/tree": {"GET": VIEWER},
    "/api/v1/categories/associations": {"GET": VIEWER, "POST": EDITOR, "DELETE": EDITOR},
    "/api/v1/categories/{category_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/tags": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/tags/by-model": {"GET": VIEWER},
    "/api/v1/tags/{tag_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/tags/{tag_id}/models": {"GET": VIEWER},
    "/api/v1/tags/{tag_id}/preview": {"POST": VIEWER},
    # Who calls the router
    "/api/v1/consumers": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/consumers/{consumer_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/consumers/{consumer_id}/enable": {"POST": EDITOR},
    "/api/v1/consumers/{consumer_id}/disable": {"POST": EDITOR},
    "/api/v1/access-keys": {"GET": VIEWER, "POST": EDITOR},
    "/api/v1/access-keys/{access_key_id}": {"GET": VIEWER, "PATCH": EDITOR, "PUT": EDITOR, "DELETE": EDITOR},
    "/api/v1/access-keys/{access_key_id}/rotate": {"POST": EDITOR},
    "/api/v1/access-keys/{access_key_id}/enable": {"POST": EDITOR},
    "/api/v1/access-keys/{access_key_id}/disable": {"POST": EDITOR},
    # Who administers
    "/api/v1/auth/login": {"POST": PUBLIC},
    "/api/v1/auth/refresh": {"POST": PUBLIC},
    "/api/v1/auth/jwks": {"GET": PUBLIC},
    "/api/v1/auth/oidc/login": {"GET": PUBLIC},
    "/api/v1/auth/oidc/callback": {"GET": PUBLIC},
    "/api/v1/auth/logout": {"POST": VIEWER},
    "/api/v1/auth/me": {"GET": VIEWER},
    "/api/v1/auth/tokens": {"GET": VIEWER, "POST": VIEWER},
    "/api/v1/auth/tokens/{token_id}": {"DELETE": VIEWER},
    "/api/v1/auth/signing-keys": {"GET": ADMIN, "POST": ADMIN},
    "/api/v1/auth/signing-keys/{key_id}": {"DELETE": ADMIN},
    "/api/v1/users": {"GET": ADMIN, "POST": ADMIN},
    "/api/v1/users/{user_id}": {"GET": ADMIN, "PATCH": ADMIN, "DELETE": ADMIN},
    # One's own; somebody else's is an admin's, as the action sees to.
    "/api/v1/users/{user_id}/password": {"PUT": VIEWER},
    "/api/v1/users/{user_id}/sessions": {"DELETE": VIEWER},
    # History
    "/api/v1/versions": {"GET": VIEWER},
    "/api/v1/export": {"GET": ADMIN},
    "/api/v1/restore": {"POST": ADMIN},
    "/api/v1/audit": {"GET": ADMIN},
    "/api/v1/audit/export": {"GET": ADMIN},
    "/api/v1/audit/{audit_id}": {"GET": ADMIN},
    **{
        f"/api/v1{path}{ending}": {"GET": ADMIN if kind in FOR_ADMINS else VIEWER}
        for kind, path in PATHS.items()
        for ending in ("/versions", "/versions/compare", "/versions/{number}")
    },
    **{f"/api/v1{path}/rollback": {"POST": EDITOR} for kind, path in PATHS.items() if kind in RESTORE},
    # What a consumer may use; open to access keys as well
    "/api/v1/selector": {"GET": VIEWER},
    # The feed
    "/api/v1/snapshot": {"GET": SERVICE},
    "/api/v1/changes": {"GET": SERVICE},
    "/api/v1/head": {"GET": SERVICE},
    # Operations
    **OF_PARKED,
}

BY_ACCESS_KEY = frozenset({("GET", "/api/v1/selector")})
"""What an access key opens too; these paths see to that themselves."""


async def audit_refusal(request: Request, caller: Caller) -> None:
    """Keep in the audit log what somebody tried whose role is too low."""
    action = f"{request.method} {request.scope['route'].path}"
    await audit_failure(request.app.state.database, action, "role_too_low", by=caller)
