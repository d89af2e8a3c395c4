"""Which source or model an older system meant when it wrote a supplier's and a model's name as text."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from uuid import UUID

NEAR_ENOUGH = 0.5
NEAR_SHOWN = 3
_SEPARATORS = re.compile(r"[\s_/:.@-]+")


@dataclass(frozen=True, slots=True)
class Named:
    """A model as an older system names it, with the supplier where it says one."""

    model: str
    vendor: str | None = None

    def __str__(self) -> str:
        return f"{self.vendor}: {self.model}" if self.vendor else self.model


@dataclass(frozen=True, slots=True)
class Known:
    """A model, or one source of it, that a name may mean."""

    model_id: UUID
    model_name: str
    other_names: tuple[str, ...]
    source_id: UUID | None = None
    supplier_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """What a name was found to mean: exactly one thing, several, or none."""

    found: tuple[Known, ...] = ()
    near: tuple[str, ...] = ()
    """Names that look like it, the likest first."""
    reason: str = ""

    @property
    def is_clear(self) -> bool:
        """Whether it means exactly one thing."""
        return len(self.found) == 1


def plain(name: str) -> str:
    """Answer the name without what older systems write in different ways: case, and which sign is between words."""
    return _SEPARATORS.sub("-", name.strip().lower()).strip("-")


@dataclass(slots=True)
class Names:
    """Everything that a name may mean, looked up without reading the catalog again."""

    _exact: dict[str, list[Known]] = field(default_factory=lambda: defaultdict(list))
    _plain: dict[str, list[Known]] = field(default_factory=lambda: defaultdict(list))
    _suppliers: dict[str, set[UUID]] = field(default_factory=lambda: defaultdict(set))
    _words: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def of(cls, known: Iterable[Known], suppliers: Iterable[tuple[UUID, tuple[str, ...]]]) -> "Names":
        """Put everything in its place."""
        names = cls()
        for supplier_id, called in suppliers:
            for name in called:
                names._suppliers[plain(name)].add(supplier_id)
        for each in known:
            for name in dict.fromkeys([each.model_name, *each.other_names]):
                names._exact[name].append(each)
                names._plain[plain(name)].append(each)
                for word in plain(name).split("-"):
                    names._words[word].add(name)
        return names

    def supplier_ids(self, vendor: str) -> set[UUID]:
        """Answer the suppliers that are called so."""
        return self._suppliers.get(plain(vendor), set())

    def find(self, named: Named) -> Match:
        """Find what is meant: a supplier's own source where one is named, else a model.

        Names that are equal to the letter go before those that are equal but for case and separators.
        """
        if named.vendor is None:
            return self._found(named, supplier_ids=None)
        supplier_ids = self.supplier_ids(named.vendor)
        if not supplier_ids:
            near = _likest(plain(named.vendor), self._suppliers)
            return Match(near=near, reason=f"no supplier is called {named.vendor!r}")
        return self._found(named, supplier_ids)

    def _found(self, named: Named, supplier_ids: set[UUID] | None) -> Match:
        for index, name in ((self._exact, named.model), (self._plain, plain(named.model))):
            fitting = _fitting(index.get(name, ()), supplier_ids)
            if fitting:
                reason = "" if len(fitting) == 1 else f"{named.model!r} may mean {len(fitting)} things"
                near = tuple(sorted({each.model_name for each in fitting}))
                return Match(found=fitting, near=() if len(fitting) == 1 else near, reason=reason)
        candidates = {name for word in plain(named.model).split("-") for name in self._words.get(word, ())}
        kept = [name for name in sorted(candidates) if _fitting(self._exact[name], supplier_ids)]
        return Match(near=_likest(named.model, kept), reason=f"nothing is called {named.model!r}")


def _fitting(known: Sequence[Known], supplier_ids: set[UUID] | None) -> tuple[Known, ...]:
    """Without a supplier a model's own names go first; then the names that suppliers have for it stand for it too."""
    if supplier_ids is not None:
        return tuple({each.source_id: each for each in known if each.supplier_id in supplier_ids}.values())
    models = [each for each in known if each.source_id is None]
    return tuple({each.model_id: replace(each, source_id=None) for each in models or known}.values())


def _likest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    likeness = {other: SequenceMatcher(None, _last(name), _last(other)).ratio() for other in names}
    near = [other for other, ratio in likeness.items() if ratio >= NEAR_ENOUGH]
    return tuple(sorted(near, key=lambda other: (-likeness[other], other))[:NEAR_SHOWN])


def _last(name: str) -> str:
    """Answer the name without whose it is: suppliers' names make unlike models look alike."""
    return name.lower().rpartition("/")[2]
