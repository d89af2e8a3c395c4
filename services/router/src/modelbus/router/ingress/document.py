"""What OpenAPI says of the callers' paths, read from the tables that serve them."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from modelbus.router.domain.errors import Refusal
from modelbus.router.domain.time_limits import HEADER_PREFIX, LIMITS
from modelbus.router.ingress.refusals import STATUSES
from modelbus.router.journey.ask import LONGEST_NAME
from modelbus.router.wire.endpoints import ENDPOINTS, Endpoint
from modelbus.router.wire.envelopes import ANTHROPIC, OPENAI

_MODELS = "/v1/models"
_EVERY = {*STATUSES.values(), 500}
_OF_READING = {401, 403, 404, 405, 500, 503}
"""What a path that lists may refuse with; the others are of bodies and of suppliers."""
_ERROR_NAMES = {OPENAI: "OpenAiError", ANTHROPIC: "AnthropicError"}
_SECURITY: list[dict[str, list[str]]] = [{"accessKey": []}, {"accessKeyHeader": []}]
_SCHEMES = {
    "accessKey": {"type": "http", "scheme": "bearer", "description": "An access key, or a token of the issuer."},
    "accessKeyHeader": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same."},
}


def with_callers_paths(document: dict[str, Any]) -> dict[str, Any]:
    """Add the callers' paths to the document of what stands beside them."""
    components = document["components"]
    components["schemas"] |= _ERRORS
    components["securitySchemes"] |= _SCHEMES
    components["responses"] |= _refusals()
    document["paths"] |= {path: {"post": _operation(path, endpoint)} for path, endpoint in ENDPOINTS.items()}
    document["paths"][_MODELS] = {"get": _listing("List the models and chains that the key can call now.")}
    one = _listing("Show one of them; a name may hold slashes.")
    document["paths"][_MODELS + "/{name}"] = {"get": {**one, "parameters": [_NAME, *one["parameters"]]}}
    return document


def _operation(path: str, endpoint: Endpoint) -> dict[str, Any]:
    answers: dict[str, Any] = {} if endpoint.is_always_streamed else {"application/json": {"schema": _OBJECT}}
    if endpoint.is_always_streamed:
        answers["application/octet-stream"] = {"schema": {}}
    elif not endpoint.is_counting:
        answers["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "tags": [endpoint.protocol],
        "summary": path.removeprefix("/v1/").replace("/", " ").replace("_", " ").capitalize(),
        "description": "Chosen, tried and failed over as the catalog says. What routing does not read of the body goes "
        "to the supplier as it came, and its answer comes back as it came.",
        "security": _SECURITY,
        "parameters": [_SCOPE, *_ASKING],
        "requestBody": {"required": True, "content": _body(endpoint)},
        "responses": {
            "200": {"description": "What the supplier answered.", "headers": _SERVED, "content": answers},
            **_refused(endpoint.protocol, _EVERY),
        },
    }


def _listing(description: str) -> dict[str, Any]:
    return {
        "tags": ["models"],
        "summary": "Models",
        "description": description + " In Anthropic's shape where the header `anthropic-version` is sent.",
        "security": _SECURITY,
        "parameters": [_SCOPE],
        "responses": {
            "200": {"description": "What there is.", "headers": _IDS, "content": {"application/json": {"schema": {}}}},
            **_refused("either", _OF_READING),
        },
    }


def _body(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.is_form:
        fields = {"model": _MODEL, "file": {"type": "string", "contentMediaType": "application/octet-stream"}}
        return {"multipart/form-data": {"schema": {**_OBJECT, "properties": fields, "required": ["model"]}}}
    fields = {"model": _MODEL}
    if not endpoint.is_counting and not endpoint.is_always_streamed:
        fields["stream"] = {"type": ["boolean", "null"], "default": False}
    if endpoint.has_messages:
        fields["messages"] = {"type": "array", "minItems": 1, "items": {}}
    required = {"required": ["messages"]} if endpoint.has_messages else {}
    return {"application/json": {"schema": {**_OBJECT, "properties": fields, **required}}}


def _refused(protocol: str, statuses: set[int]) -> dict[str, Any]:
    return {str(status): {"$ref": f"#/components/responses/{protocol}-{status}"} for status in sorted(statuses)}


def _refusals() -> dict[str, Any]:
    """Word the refusals of each status once for each protocol, and once for paths that speak either."""
    codes: Mapping[int, set[str]] = defaultdict(set, {500: {"internal_error"}})
    for refusal, status in STATUSES.items():
        if issubclass(refusal, Refusal):
            codes[status].add(refusal.code)
    shapes = {protocol: {"$ref": f"#/components/schemas/{name}"} for protocol, name in _ERROR_NAMES.items()}
    return {
        f"{protocol}-{status}": {
            "description": ", ".join(f"`{code}`" for code in sorted(told)),
            "headers": _TRIED,
            "content": {"application/json": {"schema": schema}},
        }
        for protocol, schema in (shapes | {"either": {"anyOf": [*shapes.values()]}}).items()
        for status, told in codes.items()
    }


def _error(**fields: Any) -> dict[str, Any]:
    known = {
        "message": {"type": "string"},
        "type": {"type": "string"},
        "code": {"type": "string"},
        "param": {"type": ["string", "null"]},
        "attempts": {"type": "array", "items": _OBJECT, "description": "What was tried, and what came of it."},
    }
    error = {"type": "object", "properties": known, "required": ["message", "type", "code"]}
    return {"type": "object", "properties": {**fields, "error": error}, "required": [*fields, "error"]}


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"} | schema}


_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_MODEL: dict[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": LONGEST_NAME,
    "description": "A model, an alias of it, a fallback chain, or a complexity routing; left out for the default.",
}
_ERRORS = {"OpenAiError": _error(), "AnthropicError": _error(type={"const": "error"})}
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_SCOPE = _header("X-Modelbus-Scope", "The scope to be asked within.")
_ASKING = [
    _header("Idempotency-Key", "The same key with the same request is carried once and answered alike."),
    _header("X-Modelbus-Conversation", "The conversation's name, so that its turns go to a model of the same level."),
    _header("X-Modelbus-Explain", "1 has the answer tell who was chosen, and why nobody else.", enum=["1"]),
    *(
        _header(HEADER_PREFIX + limit.replace("_", "-"), "Seconds; only shortens.", type="number", exclusiveMinimum=0)
        for limit in LIMITS
    ),
]
_IDS = {
    "x-request-id": {"schema": {"type": "string"}, "description": "The caller's own, if it sent one."},
    "x-modelbus-revision": {"schema": {"type": "string"}, "description": "The catalog's revision that was served by."},
}
_TRIED = {
    **_IDS,
    "x-modelbus-attempts": {"schema": {"type": "string"}, "description": "How many attempts were made."},
    "x-modelbus-explain": {"schema": {"type": "string"}, "description": "JSON: what `POST /api/v1/explain` answers."},
    "retry-after": {"schema": {"type": "string"}, "description": "Of refusals: seconds until it may be served."},
}
_SERVED = {
    **_TRIED,
    "x-modelbus-source": {"schema": {"type": "string", "format": "uuid"}, "description": "The source that served."},
    "x-modelbus-cache": {"schema": {"type": "string"}, "description": "Whether the answer was given before."},
    "x-modelbus-estimate": {"schema": {"type": "string"}, "description": "The tokens were estimated, not counted."},
    "x-modelbus-level": {"schema": {"type": "string"}, "description": "The level of complexity that was found."},
}
