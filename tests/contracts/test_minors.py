"""Versions of the contracts live side by side during an upgrade: older hearers hear newer tellers, and the reverse.

`older/` holds the package as it was some minors ago; it is what really reads, and tells, here.
"""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from modelbus.contracts.event import Event, read_event
from modelbus.contracts.schemas import EVENTS, schema_of

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
SAMPLES = Path(__file__).parent / "samples"
OLDER = Path(__file__).parent / "older"
PUBLISHED = sorted(path.relative_to(SCHEMAS) for path in SCHEMAS.glob("*/*.json"))

present = pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
published = pytest.mark.parametrize("minor", PUBLISHED, ids=str)


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def sample_of(event: type[Event]) -> Any:
    return read(SAMPLES / event.type / f"{event.version}.json")


@pytest.fixture(scope="module")
def understood(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """What lets the older package read events, given by type."""
    package = tmp_path_factory.mktemp("older")
    with zipfile.ZipFile(next(OLDER.glob("*.whl"))) as wheel:
        wheel.extractall(package)
    # It goes before everything that is installed.
    environment = {**os.environ, "PYTHONPATH": str(package)}

    def read_by_it(**bodies: list[Any]) -> dict[str, Any]:
        script, asked = [sys.executable, str(OLDER / "reading.py")], json.dumps(bodies)
        done = subprocess.run(script, input=asked, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer["package"].startswith(str(package))
        return answer

    return read_by_it


def tomorrow(told: Any, fields: set[str], path: str = "$") -> Any:
    """Answer the event as a later minor might tell it: with more in every object of it that has fields of its own."""
    if isinstance(told, list):
        return [tomorrow(each, fields, path) for each in told]
    if not isinstance(told, dict):
        return told
    more = {} if f"{path}.*" in fields else {"added_tomorrow": [{"of": "any shape"}]}
    return {**{name: tomorrow(value, fields, f"{path}.{name}") for name, value in told.items()}, **more}


def differences(told: Any, heard: Any, path: str = "$") -> list[str]:
    """Name what was heard otherwise than it was told; what the hearer does not know, or knows besides, is no matter."""
    if isinstance(told, dict) and isinstance(heard, dict):
        return [each for name in told.keys() & heard for each in differences(told[name], heard[name], f"{path}.{name}")]
    if isinstance(told, list) and isinstance(heard, list) and len(told) == len(heard):
        pairs = enumerate(zip(told, heard, strict=True))
        return [each for number, pair in pairs for each in differences(*pair, f"{path}[{number}]")]
    return [] if told == heard else [f"{path}: {told!r} became {heard!r}"]


def named(told: Any, path: str = "$") -> set[str]:
    """Name every field of a schema, or of an event of it, by its way from the top; numbers in lists left out."""
    if isinstance(told, dict):
        return {path} | {deep for name, value in told.items() for deep in named(value, f"{path}.{name}")}
    return {path} | ({deep for each in told for deep in named(each, path)} if isinstance(told, list) else set())


@published
def test_every_minor_has_a_sample_that_is_as_its_schema_says(minor: Path) -> None:
    jsonschema.validate(read(SAMPLES / minor), read(SCHEMAS / minor))


@published
def test_no_minor_names_the_only_values_that_a_word_may_have(minor: Path) -> None:
    # A hearer treats a word that it does not know as "other"; a list of words would make a newer one an error.
    text = (SCHEMAS / minor).read_text()

    assert '"enum"' not in text
    assert '"const"' not in text


@published
def test_a_hearer_by_any_older_schema_is_content_with_what_is_told_today(minor: Path) -> None:
    told = next(event for event in EVENTS if event.type == minor.parent.name)

    jsonschema.validate(sample_of(told), read(SCHEMAS / minor))


@present
def test_the_sample_of_a_minor_has_what_that_minor_added(event: type[Event]) -> None:
    major, _, number = event.version.partition("-")
    before = SCHEMAS / event.type / f"{major}-{int(number) - 1}.json"
    if not before.exists():
        assert number == "0"
        return

    added = _fields(schema_of(event)) - _fields(read(before))

    # What a mapping holds has names of its own.
    assert {path for path in added - named(sample_of(event)) if "*" not in path} == set()


def test_the_older_package_understands_what_is_told_today_and_tomorrow(
    understood: Callable[..., dict[str, Any]],
) -> None:
    bodies = {event.type: [sample_of(event), tomorrow(sample_of(event), _fields(schema_of(event)))] for event in EVENTS}

    answer = understood(**bodies)

    assert {"model.changed", "source.changed", "usage.recorded", "reference.stale"} <= answer["heard"].keys()
    assert any(answer["versions"].get(event.type, event.version) != event.version for event in EVENTS)
    for event in EVENTS:
        if event.type in answer["heard"]:
            told = read_event(event, json.dumps(sample_of(event)).encode()).model_dump(mode="json")
            today, later = answer["heard"][event.type]
            assert today.keys() & told
            assert differences(told, today) == []
            assert later == today


def test_what_the_older_package_tells_is_understood_today(understood: Callable[..., dict[str, Any]]) -> None:
    versions = understood()["versions"]
    told = understood(**{name: [read(SAMPLES / name / f"{version}.json")] for name, version in versions.items()})

    for event in EVENTS:
        for body in told["heard"].get(event.type, []):
            heard = read_event(event, json.dumps(body).encode()).model_dump(mode="json")
            assert body.keys() <= heard.keys()
            assert differences(body, heard) == []


def _fields(schema: Any) -> set[str]:
    """Name every field of the schema by its way from the top, as `named` does; those of a mapping end in `*`."""
    definitions = schema.get("$defs", {})

    def fields(part: Any, path: str, within: tuple[str, ...]) -> set[str]:
        if "$ref" in part:
            name = part["$ref"].rpartition("/")[2]
            return set() if name in within else fields(definitions[name], path, (*within, name))
        found = {path}
        for each in (*part.get("anyOf", []), *([part["items"]] if isinstance(part.get("items"), dict) else [])):
            found |= fields(each, path, within)
        if more := part.get("additionalProperties"):
            found |= fields(more if isinstance(more, dict) else {}, f"{path}.*", within)
        for name, each in part.get("properties", {}).items():
            found |= fields(each, f"{path}.{name}", within)
        return found

    return fields(schema, "$", ())
