"""Splits as integrity sees them: arms stand in for one another, and shadows are missed by nobody."""

from typing import Any

import httpx

from integrity.spending import a_request, an_attempt
from integrity.teller import a_model, a_source, a_split
from integrity.test_proposals import PATH, Serve
from modelbus.contracts.usage import UsageRecorded
from modelbus.integrity.actions.usage import _targets


async def judged(http: httpx.AsyncClient, config_type: str) -> dict[tuple[str, str], str]:
    """Answer what is found at which place of which split, by its severity."""
    answer = await http.post("/api/v1/validate", json={"config_type": config_type})
    return {(each["where"], each["kind"]): each["severity"] for each in answer.json()["findings"]}


async def test_a_lost_arm_degrades_and_none_left_is_dead_and_a_lost_shadow_degrades(serve: Serve) -> None:
    gone, stays, small = a_model(gone="delisted"), a_model(), a_model(context_window=1)
    sources = [a_source(stays.id), a_source(stays.id), a_source(small.id)]
    lost = a_source(stays.id, gone="delisted")
    some = a_split(gone, lost, stays, small, shadow=gone, name="some")
    http = await serve(gone, stays, small, *sources, lost, some, a_split(gone, name="none"))

    found = await judged(http, "split")

    assert found == {
        ("split 'some', arm 'a'", "degraded"): "degraded",
        ("split 'some', arm 'b'", "degraded"): "degraded",
        ("split 'some', shadow 's'", "degraded"): "degraded",
        ("split 'none', arm 'a'", "dead"): "dead",
    }
    assert await judged(http, "all") == found
    named = (await http.get("/api/v1/references", params={"target": str(lost.id)})).json()["items"]
    assert [(each["holder_kind"], each["place"]) for each in named] == [("split", "arm 'b'")]


async def test_a_split_that_is_not_saved_yet_is_judged_and_what_it_names_must_exist(serve: Serve) -> None:
    model, other = a_model(gone="delisted"), a_model()
    source = a_source(other.id)
    http = await serve(model, other, source)
    arm: dict[str, Any] = {"name": "a", "model_id": str(model.id)}
    wrong = {"name": "s", "model_id": str(model.id), "source_id": str(source.id)}

    good = await http.post(PATH, json={"proposed": {"config_type": "split", "name": "p", "arms": [arm]}})
    refused = await http.post(
        PATH, json={"proposed": {"config_type": "split", "name": "p", "arms": [arm], "shadows": [wrong]}}
    )

    assert [(each["where"], each["kind"]) for each in good.json()["findings"]] == [("split 'p', arm 'a'", "dead")]
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [each["field"] for each in refused.json()["errors"]] == ["proposed.shadows.0.source_id"]


def test_copies_to_shadows_count_for_nobodys_use() -> None:
    source = a_source(a_model().id)
    real, copy = a_request(an_attempt(source)), a_request(an_attempt(source), is_shadow=True)

    told = UsageRecorded(router_id="r", requests=[real, copy]).requests

    assert [bool(_targets(each)) for each in told] == [True, False]
