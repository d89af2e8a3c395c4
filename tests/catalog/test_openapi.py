"""The OpenAPI document is whole, and the catalog does what it says."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
import pytest
from pydantic import BaseModel

from modelbus import catalog, chassis
from modelbus.catalog.api.examples import EXAMPLES
from modelbus.catalog.api.roles import ROLES
from modelbus.catalog.app import ROUTES
from modelbus.chassis.openapi import REFUSALS
from modelbus.chassis.roles import PUBLIC, rows_with
from running import ADMIN_TOKEN

BIN = Path(sys.executable).parent
EXAMPLES_PER_OPERATION = 1
SOURCES = [Path(package.__path__[0]) for package in (catalog, chassis)]


async def test_every_operation_says_what_it_does_takes_and_may_refuse(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    public = set(rows_with(ROLES, PUBLIC))

    lacking = [
        f"{method.upper()} {path}: {what}"
        for path, operations in document["paths"].items()
        if path.startswith("/api/")
        for method, operation in operations.items()
        for what, is_there in {
            "description": bool(operation.get("description")),
            "refusals": {"401", "403", "422", "503"} <= operation["responses"].keys(),
            "security": bool(operation["security"]) != ((method.upper(), path) in public),
            "If-Match": method not in {"put", "patch", "delete"} or "{" not in path or _takes(operation, "If-Match"),
            "Idempotency-Key": method != "post" or _takes(operation, "Idempotency-Key"),
        }.items()
        if not is_there
    ]

    assert lacking == []


async def test_every_body_has_an_example_that_would_be_taken(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    bodies = {
        media["schema"]["$ref"].rpartition("/")[2]
        for operations in document["paths"].values()
        for operation in operations.values()
        for media in operation.get("requestBody", {}).get("content", {}).values()
        if "$ref" in media["schema"]
    }
    models = {
        each.__name__: each for noun in ROUTES for each in vars(noun).values() if isinstance(each, type(BaseModel))
    }

    assert bodies | {"Rotation"} == set(EXAMPLES)
    for name, example in EXAMPLES.items():
        assert document["components"]["schemas"][name]["examples"] == [example]
        models[name].model_validate_json(json.dumps(example))


def test_the_codes_of_the_examples_of_refusals_are_real() -> None:
    told = " ".join(path.read_text() for root in SOURCES for path in root.rglob("*.py") if path.name != "openapi.py")

    assert [code for code, _ in REFUSALS.values() if f'"{code}"' not in told] == []


@pytest.mark.timeout(400)
async def test_the_catalog_keeps_to_its_document_whatever_is_asked(catalog_url: str) -> None:
    """Schemathesis asks every operation, with what the document allows and with what it does not."""
    command = [
        str(BIN / "schemathesis"),
        "run",
        f"{catalog_url}/openapi.json",
        f"--header=Authorization: Bearer {ADMIN_TOKEN}",
        f"--max-examples={EXAMPLES_PER_OPERATION}",
        "--phases=examples,fuzzing",
        "--checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--seed=1",
        "--no-color",
        # Without a bus it is not ready, which is what this path says.
        "--exclude-path=/health/ready",
        "--suppress-health-check=all",
        "--request-timeout=20",
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await process.communicate()

    assert process.returncode == 0, told.decode()[-20_000:]


def _takes(operation: dict[str, list[dict[str, str]]], header: str) -> bool:
    return any(parameter["name"] == header for parameter in operation.get("parameters", []))
