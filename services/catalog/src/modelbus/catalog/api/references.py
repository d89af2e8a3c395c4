"""How inputs name models, how answers show them, and what callers say of references that would break."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AfterValidator, Field

from modelbus.catalog.api.views import View
from modelbus.catalog.domain.references import Consent
from modelbus.catalog.store.references import HolderFilter


def each_once[S: Sequence[Hashable]](items: S) -> S:
    """Refuse a list that names something twice."""
    repeated = [str(item) for item, times in Counter(items).items() if times > 1]
    if repeated:
        raise ValueError(f"must name each only once, and names twice: {', '.join(repeated)}")
    return items


LONGEST_MODEL_SET = 1000
ModelSet = Annotated[list[UUID], Field(min_length=1, max_length=LONGEST_MODEL_SET), AfterValidator(each_once)]


class ReferenceView(View):
    """A model that is referred to, and whether it could serve right now."""

    model_id: UUID
    model_name: str
    is_available: bool
    reason: str | None
    """Why it is not available."""


class WarningView(View):
    """Something that was accepted, and that somebody should look at."""

    field: str
    """Path in the thing, for instance `steps.1.model_id`."""
    code: str
    """`not_available`; `nothing_available` where none of several is; `no_candidate` where caps let nothing through."""
    message: str


Search = Annotated[str | None, Query(max_length=200, description="Part of the name or description, in any case.")]
Referring = Annotated[UUID | None, Query(description="A model: lists only what refers to it.")]
Stale = Annotated[bool | None, Query(description="Whether it refers to a model or source that is not available.")]


async def _read_filter(
    name: Annotated[str | None, Query(max_length=200)] = None,
    search: Search = None,
    is_active: bool | None = None,  # noqa: FBT001 - FastAPI passes by keyword
    model_id: Referring = None,
    has_stale: Stale = None,
) -> HolderFilter:
    return HolderFilter(name, search, is_active, model_id, has_stale)


Wanted = Annotated[HolderFilter, Depends(_read_filter)]
"""What a list of things that refer to models is narrowed to."""

_FORCE = "Do it although references break by it; they stay, and are flagged as stale."
_REPLACE = "The id of something available: every reference to what goes is rewritten to it, in the same change."


async def _read_consent(
    force: Annotated[bool, Query(description=_FORCE)] = False,  # noqa: FBT002 - FastAPI passes by keyword
    replace_with: Annotated[UUID | None, Query(description=_REPLACE)] = None,
) -> Consent:
    return Consent(force, replace_with)


Breaking = Annotated[Consent, Depends(_read_consent)]
"""What the caller wants done about references that would break; without it, such a change is refused."""
