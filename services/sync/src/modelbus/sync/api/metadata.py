"""Metadata files over REST: how they stand, asking for them now, and what they say of one model."""

from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from modelbus.sync.actions.enrichment import match_names
from modelbus.sync.api.dependencies import Known, TheLibrary
from modelbus.sync.domain.errors import DanglingReferenceError
from modelbus.sync.domain.metadata import Match
from modelbus.sync.domain.names import LONGEST_NAME
from modelbus.sync.store.metadata import FileState

routes = APIRouter(prefix="/api/v1/metadata", tags=["metadata"])


class FileView(BaseModel):
    """How a metadata file stands."""

    name: str
    location: str
    """Where it is; of a URL without user and query."""
    shape: str | None
    """`models.dev` or `price map`; null before it was read."""
    entries: int | None
    """Models that it tells of."""
    left_out: int | None
    """Entries that can't be a model."""
    digest: str | None
    """SHA-256 of the file that counts."""
    changed_at: datetime | None
    """When another one came than the one before."""
    checked_at: datetime | None
    due_at: datetime
    """When it is asked for again."""
    error: str | None
    """Why the last attempt failed; the file that was read before still counts."""


class Files(BaseModel):
    """Every metadata file, the one to be believed first before the others."""

    items: list[FileView]


class FactsView(BaseModel):
    """What a file says of a model; null where it says nothing, or its entries contradict each other."""

    display_name: str | None
    model_type: str | None
    context_window: int | None
    max_output_tokens: int | None
    modalities: str | None
    capabilities: list[str] | None
    knowledge_cutoff: date | None
    deprecated_at: datetime | None


class MatchView(BaseModel):
    """What one file says of a model, and why it is taken to be about it."""

    file: str
    entries: list[str]
    """The entries of that name, as `provider/name`."""
    is_exact: bool
    """Whether the name is the provider's own one; else it is merely the same, or that of another state of the model."""
    is_own: bool
    """Whether it is the supplier's very offer; only then are its prices taken where the listing tells none."""
    facts: FactsView
    prices: dict[str, Decimal]
    """USD per million tokens, per request or per image; listed prices are compared with them."""
    disputed: list[str]
    """What is not used, because the entries contradict each other."""


class Matches(BaseModel):
    """What the files say of a model, the first to be believed first."""

    items: list[MatchView]


@routes.get("")
async def list_metadata_files(library: TheLibrary) -> Files:
    """List the metadata files and how they stand."""
    return _files(await library.states())


@routes.post("/refresh")
async def refresh_metadata(library: TheLibrary) -> Files:
    """Ask for every metadata file now, and answer how they stand then.

    What they say comes into the catalog with the next listing of each supplier.
    """
    return _files(await library.refresh())


@routes.get("/matches")
async def match_metadata(
    library: TheLibrary,
    known: Known,
    supplier_id: UUID,
    upstream_name: Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)],
) -> Matches:
    """Show what the files say of a model that a supplier lists, or would list, under that name."""
    supplier = known.supplier(supplier_id)
    if supplier is None:
        raise DanglingReferenceError("supplier_id", "supplier", supplier_id)
    found = match_names(await library.shelves(), supplier, upstream_name)
    return Matches(items=[_match(file, match) for file, match in found])


def _files(states: list[FileState]) -> Files:
    return Files(items=[FileView(**{**_fields(state), "location": _location(state.location)}) for state in states])


def _fields(state: FileState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in FileView.model_fields}


def _location(location: str) -> str:
    """A user or a token in it is not for everybody who may look."""
    if "://" not in location:
        return location
    parts = urlsplit(location)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _match(file: str, match: Match) -> MatchView:
    return MatchView(
        file=file,
        entries=list(match.entries),
        is_exact=match.is_exact,
        is_own=match.is_own,
        facts=FactsView(**asdict(match.facts)),
        prices=dict(match.prices),
        disputed=list(match.disputed),
    )
