"""Importing the tables of older systems over REST."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request

from modelbus.catalog.actions import imports as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.views import View
from modelbus.catalog.domain.import_files import read_csv, read_json
from modelbus.catalog.domain.imports import Outcome, count_outcomes
from modelbus.catalog.domain.older_shapes import Shape
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Transaction

routes = APIRouter(prefix="/api/v1", tags=["import"], route_class=OnceRoute, dependencies=GUARDS)

PATH = "/api/v1/import"

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An array of entries of one shape, an object with shapes as keys, or CSV with a header line.",
        "content": {
            "application/json": {
                "schema": {"anyOf": [{"type": "array"}, {"type": "object"}]},
                "example": {
                    "fallback_chains": [
                        {
                            "name": "prod-chat",
                            "models": [
                                {"vendor": "openai", "model": "gpt-4o", "protocol": "openai-compatible"},
                                {"vendor": "openrouter", "model": "anthropic/claude-3.5-sonnet"},
                            ],
                        }
                    ]
                },
            },
            "text/csv": {"schema": {"type": "string"}, "example": "provider,model,tier\nopenai,gpt-4o,pro\n"},
        },
    }
}


class LineView(View):
    """What came of one entry."""

    shape: Shape
    place: str
    """Where it is in the file: `fallback_chains.3`, `line 7`."""
    entry: str
    """What it is about."""
    outcome: Outcome
    message: str
    """Why, where that is not plain."""
    target_ids: list[UUID]
    """The models, sources, chains or routings that it led to."""
    near: list[str]
    """Names of the catalog that it may have meant, the likest first."""


class ImportReport(View):
    """What came of an import, or would come of it."""

    dry_run: bool
    counts: dict[Outcome, int]
    items: list[LineView]
    """In the order of the file."""


@routes.post("/import", openapi_extra=_BODY)
async def import_file(
    request: Request,
    session: Transaction,
    shape: Annotated[Shape | None, Query(description="What the entries are; needed for an array and for CSV.")] = None,
    dry_run: Annotated[bool, Query(description="Only report what would come of it.")] = False,  # noqa: FBT002
    create_missing: Annotated[  # noqa: FBT002
        bool, Query(description="Add models and sources of known suppliers that are not there, by hand.")
    ] = False,
    leave_out: Annotated[  # noqa: FBT002
        bool, Query(description="Make chains and levels without the steps that match nothing.")
    ] = False,
) -> ImportReport:
    """Match the entries of older tables to what is here and do what they say; the same file twice changes nothing.

    The whole file is one transaction. An entry that matches nothing, or several things, is reported with near names
    and stops no other; a file that can't be read does nothing at all.
    """
    is_csv = request.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/csv"
    # Beside the event loop: others are served while a large file is read.
    entries = await asyncio.to_thread(read_csv if is_csv else read_json, await request.body(), shape)
    wishes = actions.Wishes(dry_run=dry_run, create_missing=create_missing, leave_out=leave_out)
    lines = await actions.import_entries(session, entries, wishes)
    return ImportReport(
        dry_run=dry_run, counts=count_outcomes(lines), items=[LineView.model_validate(line) for line in lines]
    )
