"""The OpenAPI document: what FastAPI derives from the routes, with the refusals and headers that all of them share."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from modelbus.chassis.idempotency_key import LONGEST_KEY
from modelbus.chassis.problems import problem
from modelbus.chassis.roles import PUBLIC, Roles, needed_by
from modelbus.contracts.problems import Problem

MEDIA_TYPE = "application/problem+json"
WRITES = ("post", "put", "patch", "delete")
BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "The access token of a session, an API token, or a static token. Of the roles an `editor` may do "
    "all that a `viewer` may, an `admin` all that an `editor` may; what needs `service` is open to each of them.",
}
REFUSALS = {
    400: ("malformed_json", "The request can't be read."),
    401: ("unauthorized", "There is no valid token."),
    403: ("role_too_low", "The token's role is not enough."),
    404: ("not_found", "There is no such thing."),
    405: ("method_not_allowed", "The path does not take this method."),
    409: ("already_exists", "It is in the way of something else, or something refers to it: see `findings`."),
    412: ("changed_meanwhile", "It was changed since you saw it: `If-Match` names an older version."),
    413: ("body_too_large", "The body is too long."),
    422: ("invalid_input", "A field or parameter can't be meant so: see `errors`."),
    503: ("temporarily_unavailable", "A part that this needs is away; try again after `Retry-After` seconds."),
}
"""A code of each status, for an example, and what the status means."""
_FOR_WRITES = (409, 412, 413)
_REFERENCE = "#/components/schemas/"
_REFUSED = "#/components/responses/"

_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "maxLength": 200, "pattern": r'^(\*|"[0-9]+")$'},
    "description": "The ETag that you saw; the change is refused with 412 if there is a newer version.",
    "example": '"3"',
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
    "description": "The same key with the same request is done once and answered alike for 24 hours.",
    "example": "4f9f1e0a-make-supplier",
}
_ETAG = {"schema": {"type": "string"}, "description": "The version, for `If-Match`."}
_REVISION = {"schema": {"type": "string"}, "description": "The catalog's revision that the change took."}


def describe(app: FastAPI, roles: Roles, examples: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the app's document, made once; `examples` are those of its schemas, by their names."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
        )
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        schemas |= _problem_schemas()
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for name, example in examples.items():
            schemas[name]["examples"] = [example]
        components["securitySchemes"] = {"bearer": BEARER}
        components["responses"] = {str(status): _refusal(status, *told) for status, told in REFUSALS.items()}
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _complete(path, method, operation)
                _secure(roles, path, method, operation)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Add what every operation of an administrative API may answer, and the headers that writes take."""
    if not path.startswith("/api/"):
        return
    responses = operation["responses"]
    for status in REFUSALS:
        if status in _FOR_WRITES and method not in WRITES:
            continue
        responses[str(status)] = {"$ref": f"{_REFUSED}{status}"}
    if method not in WRITES:
        return
    parameters = operation.setdefault("parameters", [])
    if "{" in path:
        parameters.append(_IF_MATCH)
    if method == "post":
        parameters.append(_IDEMPOTENCY_KEY)
    for status, response in responses.items():
        if status.startswith("2"):
            response.setdefault("headers", {})["X-Modelbus-Revision"] = _REVISION
            if "{" in path or method == "post":
                response["headers"]["ETag"] = _ETAG


def _secure(roles: Roles, path: str, method: str, operation: dict[str, Any]) -> None:
    """Say whom the operation lets in; the roles of OpenAPI 3.1 stand behind a scheme of any type."""
    if not path.startswith("/api/"):
        return
    needed = needed_by(roles, method.upper(), path)
    if needed is PUBLIC:
        operation["security"] = []
        return
    operation["security"] = [{"bearer": [needed.value]}]
    operation["responses"]["403"]["description"] = f"The token's role is not enough: it must be `{needed}`."


def _refusal(status: int, code: str, meaning: str) -> dict[str, Any]:
    example = problem(status, code, meaning).model_dump(mode="json")
    schema = {"$ref": f"{_REFERENCE}Problem"}
    return {"description": meaning, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


def _problem_schemas() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template=_REFERENCE + "{model}", mode="serialization")
    return {**schema.pop("$defs", {}), "Problem": schema}
