"""What the router counts of its traffic is what has happened."""

from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from modelbus.chassis.metrics import Spread
from modelbus.simulator import Fault, Simulator
from router.routers import PROMPT, RunningRouter, running_router
from running import eventually


async def figures(router: RunningRouter) -> dict[tuple[str, ...], float]:
    """Read every figure by its name and its labels in order of their names."""
    page = (await router.http.get("/metrics")).text
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


async def test_requests_attempts_tokens_and_failovers_are_counted(router: RunningRouter, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(status=500), path="chat", times=1)
    first = await router.complete()
    async with router.http.stream("POST", "/v1/chat/completions", json={**PROMPT, "stream": True}) as streamed:
        await streamed.aread()
    await router.complete(model="nobody-has-it")
    usage: dict[str, Any] = first.json()["usage"]

    async def counted() -> dict[tuple[str, ...], float]:
        found = await figures(router)
        assert found["modelbus_request_seconds_count", "true"] == 1
        return found

    found = await eventually(counted)

    assert found["modelbus_requests_total", "ok", "200", "false"] == 1
    assert found["modelbus_requests_total", "ok", "200", "true"] == 1
    assert found["modelbus_failovers_total",] == 1
    assert found["modelbus_attempts_total", "failed", "acme"] == 1
    assert found["modelbus_attempts_total", "ok", "acme"] + found["modelbus_attempts_total", "ok", "beta"] == 2
    tokens = [
        value
        for (name, *labels), value in found.items()
        if (name, *labels[:1]) == ("modelbus_tokens_total", "output") and labels[1] in {"acme", "beta"}
    ]
    assert sum(tokens) >= usage["completion_tokens"] > 0
    assert found["modelbus_breakers", "open"] == 0
    assert sum(value for (name, *_), value in found.items() if name == "modelbus_first_token_seconds_count") == 1


async def test_the_page_has_a_token_where_one_is_set_and_is_openmetrics_for_who_asks_for_it(tmp_path: Path) -> None:
    async with running_router(tmp_path, metrics_token="metrics-of-the-tests") as router:
        refused = [await router.http.get("/metrics", headers=each) for each in ({}, {"Authorization": "Bearer no"})]
        headers = {"Authorization": "Bearer metrics-of-the-tests", "Accept": "application/openmetrics-text"}
        answer = await router.http.get("/metrics", headers=headers)

    assert [(each.status_code, each.json()["code"]) for each in refused] == [(401, "unauthorized")] * 2
    assert "modelbus_attempts" in {family.name for family in read_openmetrics(answer.text)}  # type: ignore[no-untyped-call]


def test_a_spread_counts_a_value_in_every_bound_that_it_keeps() -> None:
    class Shown:
        def add_metric(self, labels: list[str], buckets: list[tuple[str, float]], total: float) -> None:
            self.told = (list(labels), buckets, total)

    spread, shown = Spread((0.1, 1.0)), Shown()
    for value in (0.05, 0.1, 0.5, 7.0):
        spread.observe(value)

    spread.add_to(shown, ["a"])  # type: ignore[arg-type]

    assert shown.told == (["a"], [("0.1", 2), ("1.0", 3), ("+Inf", 4)], 7.65)
