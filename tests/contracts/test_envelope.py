import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.contracts.catalog import ModelUnavailable, SyncRequested
from modelbus.contracts.envelope import Envelope, MalformedEnvelopeError, read_envelope
from modelbus.contracts.event import read_event

times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
envelopes = st.builds(
    Envelope,
    id=st.uuids(),
    type=words,
    source=words,
    time=times,
    data=st.just(b"{}"),
    subject=st.none() | words,
    data_schema=st.none() | words,
    revision=st.none() | st.integers(0, 2**63 - 1),
    epoch=st.none() | st.uuids(),
    correlation_id=st.none() | words,
    trace_parent=st.none() | words,
)


@given(envelopes)
def test_an_envelope_survives_the_bus(envelope: Envelope) -> None:
    assert read_envelope(envelope.headers(), b"{}") == envelope


def test_header_names_may_have_any_case() -> None:
    envelope = Envelope(UUID(int=7), "model.unavailable", "/modelbus/catalog", datetime.now(UTC), b"{}", revision=4)
    shouted = {name.upper(): value for name, value in envelope.headers().items()}

    assert read_envelope(shouted, b"{}") == envelope


def test_the_event_id_is_the_message_id() -> None:
    envelope = Envelope(UUID(int=7), "model.unavailable", "/modelbus/catalog", datetime.now(UTC), b"{}")

    assert envelope.headers()["Nats-Msg-Id"] == envelope.headers()["ce-id"] == str(UUID(int=7))


def test_structured_mode_is_read_too() -> None:
    body = {
        "specversion": "1.0",
        "id": str(UUID(int=7)),
        "type": "sync.requested",
        "source": "/elsewhere",
        "time": "2026-01-02T03:04:05Z",
        "revision": 12,
        "data": {"run_id": str(UUID(int=1)), "supplier_id": str(UUID(int=2)), "cause": "administrator"},
    }

    read = read_envelope({"Content-Type": "application/cloudevents+json; charset=utf-8"}, json.dumps(body).encode())

    assert (read.type, read.revision) == ("sync.requested", 12)
    assert read_event(SyncRequested, read.data).cause == "administrator"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"ce-specversion": "0.3"}, "specversion"),
        ({"ce-id": "seven"}, "not of its type"),
        ({"ce-time": "yesterday"}, "not of its type"),
        ({"ce-revision": "many"}, "not of its type"),
        ({"ce-type": None}, "type"),
        ({"ce-source": None}, "source"),
    ],
)
def test_what_is_no_cloud_event_is_refused_by_name(change: dict[str, str | None], named: str) -> None:
    envelope = Envelope(UUID(int=7), "model.unavailable", "/modelbus/catalog", datetime.now(UTC), b"{}", revision=4)
    headers = {name: value for name, value in {**envelope.headers(), **change}.items() if value is not None}

    with pytest.raises(MalformedEnvelopeError, match=named):
        read_envelope(headers, b"{}")


def test_a_hearer_ignores_what_a_newer_teller_added_and_a_teller_may_not_add() -> None:
    body = {
        "model_id": str(UUID(int=1)),
        "name": "m",
        "reason": "a_reason_of_tomorrow",
        "since": "2026-01-02T03:04:05Z",
        "previous_source_ids": [],
        "added_tomorrow": True,
    }

    assert read_event(ModelUnavailable, json.dumps(body).encode()).reason == "a_reason_of_tomorrow"
    with pytest.raises(ValueError, match="added_tomorrow"):
        ModelUnavailable.model_validate(body)
