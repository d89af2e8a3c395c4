"""The AsyncAPI document is what is generated, and what AsyncAPI's own parser takes."""

import json
from pathlib import Path

import pytest

from modelbus.contracts.asyncapi import asyncapi
from modelbus.contracts.bus import STREAMS
from modelbus.contracts.schemas import EVENTS
from node_packages import NODE, install, run

DOCUMENT = Path(__file__).parents[2] / "docs" / "asyncapi.json"


def test_the_committed_document_is_the_generated_one() -> None:
    committed = json.loads(DOCUMENT.read_text())

    assert committed == asyncapi(committed["info"]["version"]), "make docs writes it"


async def test_the_official_parser_takes_it_and_finds_nothing_to_say(pytestconfig: pytest.Config) -> None:
    place = await install(pytestconfig, Path(__file__).parent / "node")

    told = json.loads(await run(NODE, place / "check.mjs", DOCUMENT, within=place))

    assert told["found"] == []
    assert sorted(told["messages"]) == sorted(event.type for event in EVENTS)


def test_every_event_of_a_stream_is_told_by_its_tellers_alone() -> None:
    operations = asyncapi("1")["operations"]

    for stream in STREAMS:
        for event in stream.events:
            tellers = {name.partition("-tells-")[0] for name in operations if name.endswith(f"-tells-{event.type}")}
            assert tellers == set(stream.tellers)
