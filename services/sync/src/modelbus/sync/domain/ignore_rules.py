"""Rules that leave listed names out, by glob patterns: nothing is added, changed or removed for what they match."""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """One pattern, for one supplier or for all of them."""

    id: UUID
    supplier_id: UUID | None
    """None means every supplier."""
    pattern: str
    """`*` is any text, `?` any letter, `[ab]` one of them; upper and lower case differ."""
    note: str | None
    created_by: str
    created_at: datetime


class Ignoring:
    """What some patterns leave out."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(sorted({*patterns}))
        self._match = re.compile("|".join(map(fnmatch.translate, self._patterns))).match if self._patterns else None

    def __contains__(self, name: str) -> bool:
        """Tell whether a pattern matches the whole name."""
        return self._match is not None and self._match(name) is not None

    @property
    def mark(self) -> str:
        """Answer a text that is the same for the same patterns."""
        return "\n".join(self._patterns)
