"""A trace goes on from a request through what it changes to whoever hears of it, whether anybody collects it or not."""

import httpx
import pytest

from modelbus.chassis.tracing import joined, span, tell_next, trace_parent

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_without_a_collector_a_trace_of_others_is_passed_on() -> None:
    with span("work", parent=PARENT):
        assert trace_parent() == PARENT
    assert trace_parent() is None


@pytest.mark.parametrize("parent", ["", "nonsense", PARENT[:-1], PARENT + "-0", PARENT.replace("4bf9", "zzzz")])
def test_what_is_no_trace_is_passed_over(parent: str) -> None:
    with span("work", parent=parent):
        assert trace_parent() is None


async def test_a_neighbour_is_told_and_nothing_is_made_up() -> None:
    request = httpx.Request("GET", "http://catalog/")
    await tell_next(request)
    assert "traceparent" not in request.headers

    with span("work", parent=PARENT):
        await tell_next(request)

    assert request.headers["traceparent"] == PARENT


def test_a_request_belongs_to_the_trace_that_its_caller_names() -> None:
    assert joined(PARENT) == {"traceparent": PARENT, "trace_id": PARENT.split("-")[1]}
    assert joined(PARENT.upper()) == joined("") == {}
