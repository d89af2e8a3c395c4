"""The rules, pure: which references are stale, how bad that is, and what must change in the findings."""

from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

from modelbus.integrity.domain.findings import STALE_KINDS, Fault, Finding, Resolution, Severity, compare
from modelbus.integrity.domain.references import (
    Holder,
    HolderKind,
    Place,
    Reference,
    references_of_chain,
    references_of_complexity,
    references_of_set,
)
from modelbus.integrity.domain.rules import Circumstances, find_faults
from modelbus.integrity.domain.targets import Model, Source, TargetKind

HOLDER, SUPPLIER = UUID(int=1), UUID(int=2)
A, B, C = UUID(int=10), UUID(int=11), UUID(int=12)


def places_of(references: tuple[Reference, ...], *, gone: dict[UUID, str], is_active: bool = True) -> list[Place]:
    return [
        Place(
            holder=Holder(HolderKind.CHAIN, HOLDER, "default-chat", is_active),
            ordinal=ordinal,
            reference=reference,
            model=Model(reference.model_id, "a model", gone.get(reference.model_id)),
            source=Source(
                reference.target_id, reference.model_id, SUPPLIER, "a supplier", gone.get(reference.target_id)
            )
            if reference.target_kind is TargetKind.SOURCE
            else None,
        )
        for ordinal, reference in enumerate(references, 1)
    ]


def chain_of(*model_ids: UUID) -> tuple[Reference, ...]:
    return references_of_chain((UUID(int=100 + number), model_id, None) for number, model_id in enumerate(model_ids))


def find_stale(places: list[Place]) -> list[Fault]:
    now = Circumstances(date(2026, 1, 1), is_charging=False)
    return [fault for fault in find_faults(places, now) if fault.kind in STALE_KINDS]


def severities(faults: list[Fault]) -> dict[str, Severity]:
    return {fault.place: fault.severity for fault in faults}


def test_a_chain_whose_targets_all_serve_has_no_fault() -> None:
    assert find_stale(places_of(chain_of(A, B), gone={})) == []


def test_a_stale_step_degrades_a_chain_that_another_step_can_serve() -> None:
    faults = find_stale(places_of(chain_of(A, B), gone={B: "delisted"}))

    assert severities(faults) == {"step 2": Severity.DEGRADED}
    assert [fault.reason for fault in faults] == ["delisted"]


def test_a_chain_without_a_step_left_is_dead_in_every_step() -> None:
    faults = find_stale(places_of(chain_of(A, B), gone={A: "disabled", B: "delisted"}))

    assert severities(faults) == {"step 1": Severity.DEAD, "step 2": Severity.DEAD}


def test_a_level_dies_alone() -> None:
    routing = references_of_complexity([("easy", [A]), ("hard", [B, C])])

    faults = find_stale(places_of(routing, gone={A: "delisted", C: "delisted"}))

    assert severities(faults) == {"level easy, position 1": Severity.DEAD, "level hard, position 2": Severity.DEGRADED}


def test_a_scope_is_dead_only_without_any_model() -> None:
    scope = references_of_set([A, B], A)

    assert severities(find_stale(places_of(scope, gone={A: "delisted"}))) == {
        "position 1": Severity.DEGRADED,
        "default": Severity.DEGRADED,
    }
    assert set(severities(find_stale(places_of(scope, gone={A: "x", B: "x"}))).values()) == {Severity.DEAD}


def test_an_inactive_holder_is_not_flagged() -> None:
    assert find_stale(places_of(chain_of(A), gone={A: "delisted"}, is_active=False)) == []


def test_an_exact_source_needs_itself_and_its_model() -> None:
    source = uuid4()
    step = references_of_chain([(uuid4(), A, source)])

    (healthy,) = places_of(step, gone={})
    (without_source,) = places_of(step, gone={source: "no_credential"})
    (without_model,) = places_of(step, gone={A: "disabled"})

    assert healthy.problem is None
    assert without_source.problem == "no_credential"
    assert without_model.problem == "disabled"


def test_a_step_names_its_source_if_it_names_one() -> None:
    source, step_id = uuid4(), uuid4()

    by_source, by_model = references_of_chain([(step_id, A, source), (uuid4(), B, None)])

    assert (by_source.target_kind, by_source.target_id, by_source.model_id) == (TargetKind.SOURCE, source, A)
    assert (by_model.target_kind, by_model.target_id, by_model.model_id) == (TargetKind.MODEL, B, B)
    assert by_source.place_key == str(step_id)


def test_a_place_that_repeats_an_earlier_one_counts_once() -> None:
    routing = references_of_complexity([("easy", [A, B, A])])

    assert [reference.place for reference in routing] == ["level easy, position 1", "level easy, position 2"]


def found(fault: Fault) -> Finding:
    return Finding(id=uuid4(), fault=fault)


def test_findings_that_equal_the_faults_need_no_change() -> None:
    places = places_of(chain_of(A, B), gone={A: "delisted"})
    faults = find_stale(places)

    comparison = compare(faults, [found(fault) for fault in faults], places)

    assert (comparison.opened, comparison.altered, comparison.closed) == ([], [], [])


def test_a_new_fault_is_opened_and_its_sibling_altered() -> None:
    before = find_stale(places_of(chain_of(A, B), gone={A: "delisted"}))
    places = places_of(chain_of(A, B), gone={A: "delisted", B: "disabled"})
    known = found(before[0])

    comparison = compare(find_stale(places), [known], places)

    assert [fault.place for fault in comparison.opened] == ["step 2"]
    assert [(finding, fault.severity) for finding, fault in comparison.altered] == [(known, Severity.DEAD)]


def test_a_finding_is_closed_because_its_target_returned() -> None:
    known = found(find_stale(places_of(chain_of(A), gone={A: "delisted"}))[0])

    comparison = compare([], [known], places_of(chain_of(A), gone={}))

    assert comparison.closed == [(known, Resolution.TARGET_RETURNED)]


def test_a_finding_is_closed_because_its_place_is_gone_or_out_of_use() -> None:
    known = found(find_stale(places_of(chain_of(A), gone={A: "delisted"}))[0])

    gone = compare([], [known], [])
    unused = compare([], [known], places_of(chain_of(A), gone={A: "delisted"}, is_active=False))
    renamed = compare([], [known], places_of(chain_of(B), gone={}))

    for comparison in (gone, unused, renamed):
        assert comparison.closed == [(known, Resolution.REFERENCE_REMOVED)]


def test_a_place_that_moved_keeps_its_finding() -> None:
    known = found(find_stale(places_of(chain_of(A), gone={A: "delisted"}))[0])
    (place,) = places_of(chain_of(A), gone={A: "delisted"})
    moved = [replace(place, reference=replace(place.reference, place="step 2"))]

    comparison = compare(find_stale(moved), [known], moved)

    assert (comparison.opened, comparison.closed) == ([], [])
    assert [fault.place for _, fault in comparison.altered] == ["step 2"]
