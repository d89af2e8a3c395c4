"""How inputs name models, and how answers show them."""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from modelbus.catalog.api.views import View


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
