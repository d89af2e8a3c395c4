"""What the router's OpenAPI document says of the callers' paths is what happens on them."""

from typing import Any

import httpx
import jsonschema
import pytest

from modelbus.router.ingress.door import PREFIX
from modelbus.router.ingress.refusals import STATUSES
from modelbus.router.wire.endpoints import ENDPOINTS
from router.routers import PROMPT, RunningRouter


@pytest.fixture
async def document(router: RunningRouter) -> dict[str, Any]:
    found: dict[str, Any] = (await router.http.get("/openapi.json")).raise_for_status().json()
    return found


def described(document: dict[str, Any], answer: httpx.Response, path: str) -> dict[str, Any]:
    """Answer what the document says of such an answer."""
    said: dict[str, Any] = document["paths"][path][answer.request.method.lower()]["responses"][str(answer.status_code)]
    if "$ref" in said:
        said = document["components"]["responses"][said["$ref"].rpartition("/")[2]]
    return said


def check(document: dict[str, Any], answer: httpx.Response, path: str) -> None:
    said = described(document, answer, path)
    kind = answer.headers["content-type"].partition(";")[0]
    told = {name for name in answer.headers if name.startswith("x-modelbus-")}
    assert told <= set(said["headers"])
    if kind == "application/json":
        schema = {**said["content"][kind]["schema"], "components": document["components"]}
        jsonschema.validate(answer.json(), schema)
    assert kind in said["content"]


def test_every_path_that_is_served_is_described_and_no_other(document: dict[str, Any]) -> None:
    callers = {path for path in document["paths"] if path.startswith(PREFIX)}

    assert callers == {*ENDPOINTS, "/v1/models", "/v1/models/{name}"}
    for path in ENDPOINTS:
        assert set(document["paths"][path]["post"]["responses"]) == {"200", "500", *map(str, STATUSES.values())}


@pytest.mark.parametrize("wishes", [{}, {"stream": True}])
async def test_an_answer_is_as_described(router: RunningRouter, document: dict[str, Any], wishes: Any) -> None:
    answer = await router.http.post("/v1/chat/completions", json=PROMPT | wishes, headers={"X-Modelbus-Explain": "1"})

    assert answer.status_code == 200
    check(document, answer, "/v1/chat/completions")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", {"model": "gpt-4o"}, 400),
        ("/v1/chat/completions", PROMPT | {"model": "no-such-model"}, 404),
        ("/v1/messages", PROMPT | {"model": "no-such-model"}, 404),
        ("/v1/embeddings", {"model": 7}, 400),
    ],
)
async def test_a_refusal_is_as_described(
    router: RunningRouter, document: dict[str, Any], path: str, body: Any, status: int
) -> None:
    answer = await router.http.post(path, json=body)

    assert answer.status_code == status
    check(document, answer, path)
    assert f"`{answer.json()['error']['code']}`" in described(document, answer, path)["description"]


@pytest.mark.parametrize(("name", "status"), [("gpt-4o", 200), ("no-such-model", 404)])
async def test_a_model_is_shown_as_described(
    router: RunningRouter, document: dict[str, Any], name: str, status: int
) -> None:
    answer = await router.http.get(f"/v1/models/{name}")

    assert answer.status_code == status
    check(document, answer, "/v1/models/{name}")


@pytest.mark.parametrize("key", ["authorization", "x-api-key"])
async def test_a_wrong_key_is_refused_as_described_however_it_is_shown(
    router: RunningRouter, document: dict[str, Any], key: str
) -> None:
    async with httpx.AsyncClient(base_url=router.url) as http:
        answer = await http.get("/v1/models", headers={key: "Bearer mb-wrong"})

    assert answer.status_code == 401
    check(document, answer, "/v1/models")
    assert {"bearer", "x-api-key"} == {
        document["components"]["securitySchemes"][name].get("name", "bearer")
        for choice in document["paths"]["/v1/models"]["get"]["security"]
        for name in choice
    }
