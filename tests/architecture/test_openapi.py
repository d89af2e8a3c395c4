"""The published OpenAPI documents are valid, and what the code says now."""

import asyncio
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis

from modelbus.chassis.documents import write_document

DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
SERVICES = ("catalog", "sync", "integrity", "router")


@pytest.mark.parametrize("service", SERVICES)
async def test_the_published_document_is_of_the_code_and_of_nothing_else(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By such settings no service would start; a document does not ask them.
    monkeypatch.setenv("MODELBUS_PORT", "none")
    monkeypatch.setenv("MODELBUS_ADMIN_TOKEN", "short")
    create_app = importlib.import_module(f"modelbus.{service}.app").create_app
    settings = importlib.import_module(f"modelbus.{service}.settings").Settings

    await asyncio.to_thread(write_document, create_app, settings, tmp_path / "written.json")

    assert json.loads((tmp_path / "written.json").read_text()) == read(service), "run make docs"


@pytest.mark.parametrize("service", SERVICES)
def test_the_published_document_is_valid(service: str) -> None:
    document = read(service)

    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()
    assert list(unresolved(document, document)) == []


def read(service: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DOCUMENTS / f"{service}.json").read_text())
    return found


def unresolved(document: dict[str, Any], node: Any) -> Iterator[str]:
    """Answer every reference that leads nowhere."""
    if isinstance(node, dict):
        reference = node.get("$ref")
        if isinstance(reference, str) and not leads_somewhere(document, reference):
            yield reference
        for each in node.values():
            yield from unresolved(document, each)
    elif isinstance(node, list):
        for each in node:
            yield from unresolved(document, each)


def leads_somewhere(document: Any, reference: str) -> bool:
    for step in reference.removeprefix("#/").split("/"):
        if step not in document:
            return False
        document = document[step]
    return True
