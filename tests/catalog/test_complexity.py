from typing import Any
from uuid import uuid4

import httpx

from builders import a_model, a_served_model, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import ComplexityChanged

ROUTINGS = "/api/v1/complexity-routing"


async def a_routing(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    levels = fields.pop("levels", None) or [{"level": "hard", "model_ids": [(await a_model(http))["id"]]}]
    answer = await http.post(ROUTINGS, json={"name": "by difficulty", "levels": levels, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_new_routing_shows_its_levels_from_easy_to_hard_and_whether_each_model_could_serve(
    http: httpx.AsyncClient, told: Told
) -> None:
    served, unserved = await a_served_model(http), await a_model(http)
    levels = [
        {"level": "expert", "model_ids": [served["id"]]},
        {"level": "trivial", "model_ids": [unserved["id"], served["id"]]},
        {"level": "medium", "model_ids": [unserved["id"]]},
    ]

    routing = await a_routing(http, name="By difficulty", description="three of five", levels=levels)

    can = {"model_id": served["id"], "model_name": served["name"], "is_available": True, "reason": None}
    can_not = {
        "model_id": unserved["id"],
        "model_name": unserved["name"],
        "is_available": False,
        "reason": "no_source",
    }
    assert routing["levels"] == [
        {"level": "trivial", "models": [can_not, can]},
        {"level": "medium", "models": [can_not]},
        {"level": "expert", "models": [can]},
    ]
    assert (routing["name"], routing["description"], routing["is_active"]) == ("By difficulty", "three of five", True)
    assert await shown(http, f"{ROUTINGS}/{routing['id']}") == routing
    [event] = await told(ComplexityChanged)
    assert event.model_dump(mode="json")["record"] == {
        "id": routing["id"],
        "name": "By difficulty",
        "is_active": True,
        "levels": [levels[1], levels[2], levels[0]],
        "description": "three of five",
        "classifier": None,
    }


async def test_availability_is_that_of_now(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    routing = await a_routing(http, levels=[{"level": "easy", "model_ids": [model["id"]]}])

    await http.post(f"/api/v1/models/{model['id']}/disable", params={"force": True})

    [level] = (await shown(http, f"{ROUTINGS}/{routing['id']}"))["levels"]
    assert [(served["is_available"], served["reason"]) for served in level["models"]] == [(False, "disabled")]


async def test_put_sets_every_field_and_patch_only_those_given(http: httpx.AsyncClient) -> None:
    first, second = await a_model(http), await a_model(http)
    levels = [{"level": "easy", "model_ids": [first["id"]]}, {"level": "hard", "model_ids": [second["id"]]}]
    routing = await a_routing(http, description="old", levels=levels)
    path = f"{ROUTINGS}/{routing['id']}"

    renamed = (await http.patch(path, json={"name": "renamed", "is_active": False})).json()
    levelled = (
        await http.patch(path, json={"levels": [{"level": "hard", "model_ids": [first["id"], second["id"]]}]})
    ).json()
    put = (
        await http.put(path, json={"name": "whole", "levels": [{"level": "easy", "model_ids": [second["id"]]}]})
    ).json()

    assert (renamed["name"], renamed["description"], renamed["is_active"]) == ("renamed", "old", False)
    assert renamed["levels"] == routing["levels"]
    assert renamed["updated_at"] > routing["updated_at"]
    assert [(level["level"], [each["model_id"] for each in level["models"]]) for level in levelled["levels"]] == [
        ("hard", [first["id"], second["id"]])
    ]
    assert (levelled["name"], levelled["is_active"]) == ("renamed", False)
    assert (put["name"], put["description"], put["is_active"]) == ("whole", None, True)
    assert [level["level"] for level in put["levels"]] == ["easy"]


async def test_a_change_that_changes_nothing_tells_nothing(http: httpx.AsyncClient, told: Told) -> None:
    one, two = (await a_model(http))["id"], (await a_model(http))["id"]
    levels = [{"level": "easy", "model_ids": [one]}, {"level": "hard", "model_ids": [two, one]}]
    routing = await a_routing(http, levels=levels)
    path = f"{ROUTINGS}/{routing['id']}"

    answers = [
        await http.patch(path, json={"levels": levels[::-1]}),
        await http.patch(path, json={}),
        await http.put(path, json={"name": "by difficulty", "levels": levels}),
        await http.post(f"{path}/enable"),
    ]

    assert [answer.json() for answer in answers] == [routing] * len(answers)
    assert len(await told(ComplexityChanged)) == 1


async def test_the_order_of_models_within_a_level_is_told_and_shown(http: httpx.AsyncClient, told: Told) -> None:
    one, two = (await a_model(http))["id"], (await a_model(http))["id"]
    routing = await a_routing(http, levels=[{"level": "hard", "model_ids": [one, two]}])

    answer = await http.patch(
        f"{ROUTINGS}/{routing['id']}", json={"levels": [{"level": "hard", "model_ids": [two, one]}]}
    )

    assert [model["model_id"] for model in answer.json()["levels"][0]["models"]] == [two, one]
    assert [str(each) for each in (await told(ComplexityChanged))[-1].record.levels[0].model_ids] == [two, one]


async def test_disabling_and_enabling_is_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    routing = await a_routing(http)

    disabled = await http.post(f"{ROUTINGS}/{routing['id']}/disable")
    enabled = await http.post(f"{ROUTINGS}/{routing['id']}/enable")

    assert (disabled.json()["is_active"], enabled.json()["is_active"]) == (False, True)
    assert [event.record.is_active for event in await told(ComplexityChanged)] == [True, False, True]
    assert (await told(ComplexityChanged))[1].record.levels == (await told(ComplexityChanged))[0].record.levels


async def test_a_deleted_routing_is_gone_and_its_name_free(http: httpx.AsyncClient, told: Told) -> None:
    routing = await a_routing(http)

    answer = await http.delete(f"{ROUTINGS}/{routing['id']}")

    assert answer.status_code == 204
    assert [event.deleted for event in await told(ComplexityChanged)] == [False, True]
    assert (await http.get(f"{ROUTINGS}/{routing['id']}")).status_code == 404
    assert (await http.delete(f"{ROUTINGS}/{routing['id']}")).status_code == 404
    assert (await shown(http, ROUTINGS))["items"] == []
    assert (await a_routing(http))["name"] == routing["name"]


async def test_a_name_that_is_taken_is_refused(http: httpx.AsyncClient, told: Told) -> None:
    await a_routing(http, name="taken")
    other = await a_routing(http, name="other")
    levels = [{"level": "easy", "model_ids": [other["levels"][0]["models"][0]["model_id"]]}]

    answers = [
        await http.post(ROUTINGS, json={"name": "taken", "levels": levels}),
        await http.patch(f"{ROUTINGS}/{other['id']}", json={"name": "taken"}),
    ]

    assert [(answer.status_code, answer.json()["code"], fields_of(answer)) for answer in answers] == [
        (409, "already_exists", ["name"])
    ] * 2
    assert len(await told(ComplexityChanged)) == 2


async def test_a_level_that_names_no_living_model_is_refused_by_its_path(http: httpx.AsyncClient, told: Told) -> None:
    model, deleted = await a_model(http), await a_model(http)
    await http.delete(f"/api/v1/models/{deleted['id']}")
    routing = await a_routing(http, levels=[{"level": "easy", "model_ids": [model["id"]]}])

    for dangling in (str(uuid4()), deleted["id"]):
        levels = [
            {"level": "hard", "model_ids": [model["id"]]},
            {"level": "easy", "model_ids": [model["id"], dangling]},
        ]
        made = await http.post(ROUTINGS, json={"name": "another", "levels": levels})
        changed = await http.patch(f"{ROUTINGS}/{routing['id']}", json={"levels": levels})
        for answer in (made, changed):
            assert (answer.status_code, answer.json()["code"]) == (422, "dangling_reference")
            assert fields_of(answer) == ["levels.1.model_ids.1"]

    assert await shown(http, f"{ROUTINGS}/{routing['id']}") == routing
    assert len(await told(ComplexityChanged)) == 1


ID = str(uuid4())


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour"),
    ({"levels": [{"level": "easy", "model_ids": [ID], "weight": 1}]}, "levels.0.weight"),
    ({"name": None}, "name"),
    ({"name": 7}, "name"),
    ({"name": "  "}, "name"),
    ({"name": "nul\x00"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"description": "nul\x00"}, "description"),
    ({"description": "x" * 10_001}, "description"),
    ({"is_active": None}, "is_active"),
    ({"levels": None}, "levels"),
    ({"levels": {"easy": [ID]}}, "levels"),
    ({"levels": []}, "levels"),
    ({"levels": [{"level": "easy", "model_ids": [each]} for each in (ID, str(uuid4()))]}, "levels"),
    ({"levels": [{"level": "impossible", "model_ids": [ID]}]}, "levels.0.level"),
    ({"levels": [{"level": None, "model_ids": [ID]}]}, "levels.0.level"),
    ({"levels": [{"level": "easy"}]}, "levels.0.model_ids"),
    ({"levels": [{"level": "easy", "model_ids": []}]}, "levels.0.model_ids"),
    ({"levels": [{"level": "easy", "model_ids": [ID, ID]}]}, "levels.0.model_ids"),
    ({"levels": [{"level": "easy", "model_ids": [str(uuid4()) for _ in range(21)]}]}, "levels.0.model_ids"),
    ({"levels": [{"level": "easy", "model_ids": [ID, "gpt-4o"]}]}, "levels.0.model_ids.1"),
]


async def test_bad_input_is_refused_by_its_field_and_changes_nothing(http: httpx.AsyncClient, told: Told) -> None:
    routing = await a_routing(http)
    model_id = routing["levels"][0]["models"][0]["model_id"]
    good = {"name": "another", "levels": [{"level": "easy", "model_ids": [model_id]}]}

    for change, field in BAD_INPUT:
        answers = [
            await http.post(ROUTINGS, json={**good, **change}),
            await http.put(f"{ROUTINGS}/{routing['id']}", json={**good, **change}),
            await http.patch(f"{ROUTINGS}/{routing['id']}", json=change),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "invalid_input", [field]), (
                change
            )
    assert await shown(http, ROUTINGS) == {"items": [routing], "next_cursor": None}
    assert len(await told(ComplexityChanged)) == 1


async def test_routings_are_listed_by_pages_and_by_name(http: httpx.AsyncClient) -> None:
    made = [await a_routing(http, name=name) for name in ("one", "two", "three")]

    first = await shown(http, f"{ROUTINGS}?limit=2")
    rest = await shown(http, f"{ROUTINGS}?limit=2&cursor={first['next_cursor']}")

    assert first["items"] + rest["items"] == made
    assert rest["next_cursor"] is None
    assert (await shown(http, f"{ROUTINGS}?name=two"))["items"] == [made[1]]


SCORES = [0.2, 0.4, 0.6, 0.8]


async def test_a_classifier_is_shown_told_and_taken_away_again(http: httpx.AsyncClient, told: Told) -> None:
    judge = await a_served_model(http)
    classifier = {"thresholds": SCORES, "is_sticky": False, "judge_model_id": judge["id"], "judge_timeout_ms": 300}

    routing = await a_routing(http, classifier=classifier)
    changed = await http.patch(f"{ROUTINGS}/{routing['id']}", json={"classifier": {"thresholds": SCORES}})
    without = await http.patch(f"{ROUTINGS}/{routing['id']}", json={"classifier": None})

    assert routing["classifier"] == classifier
    alone = {"thresholds": SCORES, "is_sticky": True, "judge_model_id": None, "judge_timeout_ms": None}
    assert changed.json()["classifier"] == alone
    assert without.json()["classifier"] is None
    first, second, third = [event.record.classifier for event in await told(ComplexityChanged)]
    assert first.model_dump(mode="json") == classifier
    assert (second.model_dump(mode="json"), third) == (alone, None)
    assert [level["level"] for level in without.json()["levels"]] == ["hard"]


async def test_a_classifier_that_makes_no_sense_is_refused_by_its_field(http: httpx.AsyncClient, told: Told) -> None:
    routing = await a_routing(http)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"thresholds": SCORES[:3]}, "classifier.thresholds"),
        ({"thresholds": [*SCORES, 0.9]}, "classifier.thresholds"),
        ({"thresholds": [0.2, 0.4, 0.4, 0.8]}, "classifier.thresholds"),
        ({"thresholds": [0.8, 0.6, 0.4, 0.2]}, "classifier.thresholds"),
        ({"thresholds": [-0.1, 0.4, 0.6, 0.8]}, "classifier.thresholds.0"),
        ({"thresholds": [0.2, 0.4, 0.6, 1.1]}, "classifier.thresholds.3"),
        ({"thresholds": SCORES, "judge_timeout_ms": 300}, "classifier"),
        ({"thresholds": SCORES, "judge_model_id": ID}, "classifier"),
        ({"thresholds": SCORES, "judge_model_id": ID, "judge_timeout_ms": 0}, "classifier.judge_timeout_ms"),
        ({"thresholds": SCORES, "is_sticky": None}, "classifier.is_sticky"),
        ({"thresholds": SCORES, "mood": "good"}, "classifier.mood"),
    ]

    for classifier, field in wrong:
        answer = await http.patch(f"{ROUTINGS}/{routing['id']}", json={"classifier": classifier})
        assert (answer.status_code, fields_of(answer)) == (422, [field]), classifier
    dangling = {"thresholds": SCORES, "judge_model_id": ID, "judge_timeout_ms": 300}
    answer = await http.patch(f"{ROUTINGS}/{routing['id']}", json={"classifier": dangling})

    assert (answer.json()["code"], fields_of(answer)) == ("dangling_reference", ["classifier.judge_model_id"])
    assert len(await told(ComplexityChanged)) == 1


async def test_stale_models_and_a_stale_judge_are_warned_of(http: httpx.AsyncClient) -> None:
    served, stale = await a_served_model(http), await a_model(http)
    levels = [
        {"level": "easy", "model_ids": [served["id"], stale["id"]]},
        {"level": "hard", "model_ids": [stale["id"]]},
    ]
    classifier = {"thresholds": SCORES, "judge_model_id": stale["id"], "judge_timeout_ms": 300}

    routing = await a_routing(http, levels=levels, classifier=classifier)

    assert [(warning["field"], warning["code"]) for warning in routing["warnings"]] == [
        ("levels.0.model_ids.1", "not_available"),
        ("levels.1.model_ids.0", "not_available"),
        ("levels.1.model_ids", "nothing_available"),
        ("classifier.judge_model_id", "not_available"),
    ]
    assert (await shown(http, ROUTINGS))["items"] == [routing]


async def test_routings_are_filtered_by_what_they_refer_to_and_how_they_stand(http: httpx.AsyncClient) -> None:
    served, stale, judge = await a_served_model(http), await a_model(http), await a_served_model(http)
    await a_routing(http, name="fit", levels=[{"level": "easy", "model_ids": [served["id"]]}])
    await a_routing(http, name="stale", levels=[{"level": "easy", "model_ids": [served["id"], stale["id"]]}])
    classifier = {"thresholds": SCORES, "judge_model_id": judge["id"], "judge_timeout_ms": 300}
    levels = [{"level": "easy", "model_ids": [served["id"]]}]
    await a_routing(http, name="judged", levels=levels, classifier=classifier)

    async def names(query: str) -> list[str]:
        return [routing["name"] for routing in (await shown(http, f"{ROUTINGS}?{query}"))["items"]]

    assert await names(f"model_id={stale['id']}") == ["stale"]
    assert await names(f"model_id={judge['id']}") == ["judged"]
    assert await names("has_stale=true") == ["stale"]
    assert await names("has_stale=false&sort=name") == ["fit", "judged"]
    await http.post(f"/api/v1/models/{judge['id']}/disable", params={"force": True})
    assert await names("has_stale=true&sort=name") == ["judged", "stale"]
