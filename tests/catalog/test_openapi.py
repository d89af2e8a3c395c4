"""The OpenAPI document is whole, and the catalog does what it says."""

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from running import ADMIN_TOKEN

BIN = Path(sys.executable).parent
EXAMPLES_PER_OPERATION = 2


async def test_every_operation_says_what_it_does_takes_and_may_refuse(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()

    lacking = [
        f"{method.upper()} {path}: {what}"
        for path, operations in document["paths"].items()
        if path.startswith("/api/")
        for method, operation in operations.items()
        for what, is_there in {
            "description": bool(operation.get("description")),
            "refusals": {"401", "403", "422", "503"} <= operation["responses"].keys(),
            "security": bool(operation.get("security")),
            "If-Match": method not in {"put", "patch", "delete"} or "{" not in path or _takes(operation, "If-Match"),
            "Idempotency-Key": method != "post" or _takes(operation, "Idempotency-Key"),
        }.items()
        if not is_there
    ]

    assert lacking == []


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
