"""How a remedy is written down: what the catalog shows of a holder becomes the fields to change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from modelbus.integrity.domain.errors import ChangedMeanwhileError
from modelbus.integrity.domain.references import ARM, JUDGE, REPLACEMENT, HolderKind
from modelbus.integrity.domain.remedies import Remedy

type Shown = Mapping[str, Any]
"""A holder as the catalog's REST API shows it."""
type Changes = dict[str, Any]

PATHS: Mapping[HolderKind, str] = {
    HolderKind.CHAIN: "fallback-chains",
    HolderKind.SPLIT: "splits",
    HolderKind.COMPLEXITY: "complexity-routing",
    HolderKind.STRATEGY: "cost-strategies",
    HolderKind.SCOPE: "scopes",
    HolderKind.MODEL: "models",
    HolderKind.CONSUMER: "consumers",
    HolderKind.ACCESS_KEY: "access-keys",
    HolderKind.CREDENTIAL: "credentials",
}
_STEP_FIELDS = ("model_id", "source_id", "triggers", "protocol", "features")


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be changed in a holder."""

    remedy: Remedy
    place_key: str
    """Of what goes or names something else; of all that serve the same where something is added."""
    serves: str
    lost: UUID
    """The model or source that the place names."""
    model_id: UUID | None
    """What takes its place, or is added."""

    def swap(self, ids: list[str]) -> list[str]:
        """Answer models with the remedy applied to them."""
        lost, new = str(self.lost), str(self.model_id)
        match self.remedy:
            case Remedy.ADD:
                return ids if new in ids else [*ids, new]
            case Remedy.REMOVE:
                return [each for each in ids if each != lost]
            case Remedy.REPLACE:
                kept = [each for each in ids if each != new or lost not in ids]
                return [new if each == lost else each for each in kept]


def changes_to(kind: HolderKind, shown: Shown, edit: Edit) -> Changes:
    """Answer the fields to change; none where the holder is as the remedy would have it.

    Raises:
        ChangedMeanwhileError: the place names something else by now.
    """
    changes = _OF_KIND[kind](shown, edit)
    if not changes and edit.remedy is not Remedy.REMOVE and str(edit.model_id) not in str(dict(shown)):
        raise ChangedMeanwhileError("the place names something else by now; look at the findings again")
    return changes


def _of_chain(shown: Shown, edit: Edit) -> Changes:
    steps = [{name: step[name] for name in _STEP_FIELDS} for step in shown["steps"]]
    new = {"model_id": str(edit.model_id)}
    if edit.remedy is Remedy.ADD:
        is_there = any(step["model_id"] == new["model_id"] for step in steps)
        return {} if is_there else {"steps": [*steps, new]}
    at = next((row for row, step in enumerate(shown["steps"]) if step["id"] == edit.place_key), None)
    if at is None or str(edit.lost) not in {steps[at]["model_id"], steps[at]["source_id"]}:
        return {}
    if edit.remedy is Remedy.REMOVE:
        return {"steps": steps[:at] + steps[at + 1 :]}
    # When it is tried stays; how it is spoken to was a matter of the one that goes.
    return {"steps": [*steps[:at], {**new, "triggers": steps[at]["triggers"]}, *steps[at + 1 :]]}


def _of_split(shown: Shown, edit: Edit) -> Changes:
    what, _, name = edit.place_key.partition(":")
    field, share = ("arms", "weight") if what == ARM else ("shadows", "percent")
    places = [{key: place[key] for key in ("name", "model_id", "source_id", share)} for place in shown[field]]
    at = next((row for row, place in enumerate(places) if place["name"] == name), None)
    if at is None or str(edit.lost) not in {places[at]["model_id"], places[at]["source_id"]}:
        return {}
    # Its name and its share stay: they are what the administrator compares by.
    kept = [] if edit.remedy is Remedy.REMOVE else [{**places[at], "model_id": str(edit.model_id), "source_id": None}]
    return {field: [*places[:at], *kept, *places[at + 1 :]]}


def _of_complexity(shown: Shown, edit: Edit) -> Changes:
    if edit.place_key == JUDGE:
        return _of_judge(shown, edit)
    before = [
        {"level": level["level"], "model_ids": [each["model_id"] for each in level["models"]]}
        for level in shown["levels"]
    ]
    after = [
        {**level, "model_ids": edit.swap(level["model_ids"])} if level["level"] == edit.serves else level
        for level in before
    ]
    return {} if after == before else {"levels": after}


def _of_judge(shown: Shown, edit: Edit) -> Changes:
    classifier = shown["classifier"]
    if classifier is None or classifier["judge_model_id"] != str(edit.lost):
        return {}
    if edit.remedy is Remedy.REMOVE:
        return {"classifier": {**classifier, "judge_model_id": None, "judge_timeout_ms": None}}
    return {"classifier": {**classifier, "judge_model_id": str(edit.model_id)}}


def _of_set(shown: Shown, edit: Edit) -> Changes:
    before = {name: shown[name] for name in ("model_ids", "default_model_id") if name in shown}
    after = {**before, "model_ids": before["model_ids"] and edit.swap(before["model_ids"])}
    # The default is one of the set, so both go together.
    if before.get("default_model_id") == str(edit.lost):
        after["default_model_id"] = None if edit.model_id is None else str(edit.model_id)
    return {name: value for name, value in after.items() if value != before[name]}


def _of_model(shown: Shown, edit: Edit) -> Changes:
    if edit.place_key != REPLACEMENT or shown["replacement_model_id"] != str(edit.lost):
        return {}
    return {"replacement_model_id": None if edit.model_id is None else str(edit.model_id)}


_OF_KIND: Mapping[HolderKind, Callable[[Shown, Edit], Changes]] = {
    HolderKind.CHAIN: _of_chain,
    HolderKind.SPLIT: _of_split,
    HolderKind.COMPLEXITY: _of_complexity,
    HolderKind.STRATEGY: _of_set,
    HolderKind.SCOPE: _of_set,
    HolderKind.MODEL: _of_model,
    HolderKind.CONSUMER: _of_set,
    HolderKind.ACCESS_KEY: _of_set,
    HolderKind.CREDENTIAL: _of_set,
}
