"""Published schemas: present ones are as committed, older ones of the same major are still honoured."""

import json
from pathlib import Path

import pytest

from modelbus.contracts.event import Event, read_event
from modelbus.contracts.schemas import EVENTS, breaking_differences, schema_of, schema_path

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_the_committed_schema_is_the_generated_one(event: type[Event]) -> None:
    path = SCHEMAS / schema_path(event)

    assert path.exists(), "make docs writes it"
    assert json.loads(path.read_text()) == schema_of(event), "raise the minor version, then make docs"


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_older_minors_are_changed_only_by_additions(event: type[Event]) -> None:
    major = event.version.partition("-")[0]
    for older in sorted((SCHEMAS / event.type).glob(f"{major}-*.json")):
        assert breaking_differences(json.loads(older.read_text()), schema_of(event)) == [], older.name


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_samples_of_every_minor_still_parse(event: type[Event]) -> None:
    samples = sorted((SAMPLES / event.type).glob("*.json"))

    assert samples, f"{event.type} needs a sample of version {event.version}"
    for sample in samples:
        parsed = read_event(event, sample.read_bytes())
        assert read_event(event, parsed.model_dump_json().encode()) == parsed


def test_every_type_of_event_is_told_by_one_class_alone() -> None:
    types = [event.type for event in EVENTS]

    assert len(types) == len(set(types))


def test_no_schema_is_published_of_an_event_that_nobody_tells() -> None:
    assert {folder.name for folder in SCHEMAS.iterdir()} == {event.type for event in EVENTS}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"properties": {"a": {"type": "string"}}}, {"properties": {}}, ["$.a is gone"]),
        (
            {"properties": {"a": {"type": "string"}}},
            {"properties": {"a": {"type": "integer"}}},
            ["$.a: type changed"],
        ),
        ({"required": ["a"]}, {"required": []}, ["$.a is no longer always there"]),
        ({"properties": {}}, {"properties": {"b": {"type": "string"}}}, []),
        (
            {"$defs": {"R": {"properties": {"a": {}}}}},
            {"$defs": {"R": {"properties": {}}}},
            ["$/R.a is gone"],
        ),
    ],
)
def test_what_breaks_hearers_is_named(old: dict[str, object], new: dict[str, object], found: list[str]) -> None:
    assert breaking_differences(old, new) == found
