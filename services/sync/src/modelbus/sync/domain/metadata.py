"""Metadata: what files that others keep say of models, and which of it is about a listed one."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

SHOWN_ENTRIES = 3
# What an organisation is called in one place to what it is called in another.
_SAME_PROVIDER = {
    "mistralai": "mistral",
    "x-ai": "xai",
    "z-ai": "zai",
    "gemini": "google",
    "meta-llama": "llama",
    "meta": "llama",
    "cohere_chat": "cohere",
    "bedrock": "amazon-bedrock",
    "bedrock_converse": "amazon-bedrock",
    "fireworks_ai": "fireworks-ai",
    "together_ai": "togetherai",
}
# `-2024-08-06`, `-20240806`, `@20240806`, `-0806`, `-001`, `-latest`: one state of a model that goes on.
_STATE = re.compile(r"[-@](?:20\d\d-?[01]\d-?[0-3]\d|(?:0[1-9]|1[0-2])[0-3]\d|00\d|latest)$")
# Steps of looking for entries: the supplier's own, the maker's, those of the name.
_OWN, _EXACT = 0, (0, 1)
# Another state may be called otherwise, and ends on another day.
_OF_ONE_STATE = frozenset({"display_name", "deprecated_at"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What an entry says of a model; None where it says nothing."""

    display_name: str | None = None
    model_type: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    modalities: str | None = None
    """As in `text+image->text`."""
    capabilities: tuple[str, ...] | None = None
    """In the words of the catalog, in order."""
    knowledge_cutoff: date | None = None
    deprecated_at: datetime | None = None


_FIELDS = tuple(each.name for each in fields(Facts))


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of one provider, as a file has it."""

    provider: str
    name: str
    facts: Facts
    prices: Mapping[str, Decimal] = field(default_factory=dict)
    """USD per million tokens, per request or per image, by the names of our prices; what is unknown is not in it."""

    @property
    def title(self) -> str:
        """Answer what to call it."""
        return f"{self.provider}/{self.name}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A listed model, for which entries are looked for."""

    upstream_name: str
    public_name: str
    providers: frozenset[str]
    """What its supplier may be called in a file."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a file says of a listed model."""

    entries: tuple[str, ...]
    facts: Facts
    disputed: tuple[str, ...]
    """Fields that are not used, because the entries contradict each other."""
    is_exact: bool
    """Whether the name is the provider's own one of it, and not merely the same name, or that of another state."""
    is_own: bool
    """Whether it is the very offer, of that supplier: what it costs elsewhere need not be what it costs here."""
    prices: Mapping[str, Decimal]
    """Empty unless it is exact, and the entries agree."""

    @property
    def title(self) -> str:
        """Answer what to call the entries."""
        more = len(self.entries) - SHOWN_ENTRIES
        return ", ".join(self.entries[:SHOWN_ENTRIES]) + (f" and {more} more" if more > 0 else "")


class Shelf:
    """The entries of one file, found by names."""

    def __init__(self, name: str, entries: Iterable[Entry]) -> None:
        self.name = name
        self.count = 0
        self._by_title: dict[tuple[str, str], Entry] = {}
        self._by_name: dict[str, list[Entry]] = defaultdict(list)
        for entry in entries:
            key = (provider_named(entry.provider), entry.name.lower())
            if key in self._by_title:
                continue
            self.count += 1
            self._by_title[key] = entry
            self._by_name[_bare(entry.name)].append(entry)

    def find(self, asked: Asked) -> Match | None:
        """Answer what the file says of the model: the supplier's own entry, the maker's, or all of that name.

        Where there is none, the name is tried without the mark of its state (`gpt-4o-2024-08-06` as `gpt-4o`).
        """
        named = asked.upstream_name.lower(), asked.public_name.lower()
        stateless = _STATE.sub("", named[0]), _STATE.sub("", named[1])
        for upstream, public in dict.fromkeys((named, stateless)):
            is_same = (upstream, public) == named
            for step, entries in enumerate(self._candidates(upstream, public, asked.providers)):
                if entries:
                    return _agreed(entries, is_exact=is_same and step in _EXACT, is_own=is_same and step == _OWN)
        return None

    def _candidates(self, name: str, public: str, providers: frozenset[str]) -> Iterator[Sequence[Entry]]:
        own = (self._by_title.get((provider, name)) for provider in sorted(providers))
        yield [entry for entry in own if entry is not None]
        titles = dict.fromkeys(title for title in (_title(name), _title(public)) if title is not None)
        makers = (self._by_title.get(title) for title in titles)
        yield [entry for entry in makers if entry is not None]
        yield self._by_name.get(_bare(name), ())


def provider_named(name: str) -> str:
    """Answer the one name of a provider that has several."""
    name = name.strip().lower()
    return _SAME_PROVIDER.get(name, name)


def _agreed(entries: Sequence[Entry], *, is_exact: bool, is_own: bool) -> Match:
    """Take what nobody contradicts."""
    told: dict[str, Any] = {}
    disputed = []
    for name in _FIELDS:
        if not is_exact and name in _OF_ONE_STATE:
            continue
        values = {value for entry in entries if (value := getattr(entry.facts, name)) is not None}
        if len(values) == 1:
            told[name] = values.pop()
        elif values:
            disputed.append(name)
    agree = is_exact and all(entry.prices == entries[0].prices for entry in entries)
    return Match(
        entries=tuple(entry.title for entry in entries),
        facts=Facts(**told),
        disputed=tuple(disputed),
        is_exact=is_exact,
        is_own=is_own,
        prices=entries[0].prices if agree else {},
    )


def _title(name: str) -> tuple[str, str] | None:
    """Answer maker and name of `maker/name`, whatever stands before it."""
    parts = name.rsplit("/", 2)
    return (provider_named(parts[-2]), parts[-1]) if len(parts) > 1 else None


def _bare(name: str) -> str:
    """Answer the last part of a name, without a variant (`:free`) or a place (`@eu`) behind it."""
    return name.lower().rsplit("/", 1)[-1].split(":", 1)[0].split("@", 1)[0]
