"""Each rule, pure: what breaks it, what keeps it, and what nobody knows is held against nobody."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from modelbus.integrity.domain.findings import Fault, FindingKind, Severity
from modelbus.integrity.domain.references import (
    Holder,
    HolderKind,
    Place,
    Reference,
    references_of_chain,
    references_of_complexity,
    references_of_model,
    references_of_price,
    references_of_set,
)
from modelbus.integrity.domain.rules import Circumstances, find_faults
from modelbus.integrity.domain.targets import Model, Rates, Source, TargetKind

TODAY = date(2026, 1, 1)
OPENAI, AZURE = UUID(int=1), UUID(int=2)
NAMES = {OPENAI: "openai", AZURE: "azure"}


def a_source(supplier_id: UUID = OPENAI, *, gone: str | None = None, **cost: int) -> Source:
    rates = Rates(**{unit: Decimal(amount) for unit, amount in cost.items()})
    return Source(uuid4(), uuid4(), supplier_id, NAMES[supplier_id], gone, cost=rates)


def a_model(*sources: Source, gone: str | None = None, **fields: Any) -> Model:
    return Model(uuid4(), "openai/gpt-4", gone, sources=sources, **fields)


def places(
    references: tuple[Reference, ...],
    *models: Model,
    kind: HolderKind = HolderKind.CHAIN,
    holder_id: UUID | None = None,
) -> list[Place]:
    known = {model.id: model for model in models}
    sources = {source.id: source for model in models for source in model.sources}
    holder = Holder(kind, holder_id or uuid4(), "prod-chat", is_active=True)
    return [
        Place(holder, number, each, known[each.model_id], sources.get(each.target_id))
        for number, each in enumerate(references, 1)
    ]


def a_chain(*targets: Model | tuple[Model, Source]) -> list[Place]:
    pairs = [target if isinstance(target, tuple) else (target, None) for target in targets]
    steps = [(uuid4(), model.id, source.id if source else None) for model, source in pairs]
    return places(references_of_chain(steps), *(model for model, _ in pairs))


def faults(judged: list[Place], kind: FindingKind, *, is_charging: bool = True) -> list[Fault]:
    return [each for each in find_faults(judged, Circumstances(TODAY, is_charging)) if each.kind is kind]


def test_a_chain_with_one_source_left_has_a_single_point() -> None:
    left = a_source()

    (fault,) = faults(
        a_chain(a_model(left, a_source(gone="delisted")), a_model(gone="disabled")), FindingKind.SINGLE_POINT
    )

    assert (fault.spot.target_kind, fault.spot.target_id) == (TargetKind.SOURCE, left.id)
    assert (fault.where, fault.severity) == ("chain 'prod-chat', all of it", Severity.AT_RISK)
    assert fault.evidence == {"model": "openai/gpt-4", "supplier": "openai"}


def test_two_sources_or_none_are_no_single_point() -> None:
    assert faults(a_chain(a_model(a_source()), a_model(a_source())), FindingKind.SINGLE_POINT) == []
    assert faults(a_chain(a_model(gone="disabled")), FindingKind.SINGLE_POINT) == []


def test_the_same_source_in_two_steps_is_still_one() -> None:
    source = a_source()
    model = a_model(source)

    assert len(faults(a_chain(model, (model, source)), FindingKind.SINGLE_POINT)) == 1


def test_an_allow_list_permits_and_is_no_single_point() -> None:
    model = a_model(a_source())
    of_key = places(references_of_set([model.id]), model, kind=HolderKind.ACCESS_KEY)
    of_scope = places(references_of_set([model.id]), model, kind=HolderKind.SCOPE)

    assert faults(of_key, FindingKind.SINGLE_POINT) == []
    assert len(faults(of_scope, FindingKind.SINGLE_POINT)) == 1


def test_each_level_has_its_own_single_point() -> None:
    poor, rich = a_model(a_source()), a_model(a_source(), a_source(AZURE))
    levels = references_of_complexity([("easy", [poor.id]), ("hard", [rich.id])])

    found = faults(places(levels, poor, rich, kind=HolderKind.COMPLEXITY), FindingKind.SINGLE_POINT)

    assert [fault.place for fault in found] == ["level easy"]


def test_steps_that_all_fall_with_one_supplier_are_told() -> None:
    (fault,) = faults(a_chain(a_model(a_source()), a_model(a_source())), FindingKind.SAME_SUPPLIER_ONLY)

    assert (fault.spot.target_kind, fault.spot.target_id) == (TargetKind.SUPPLIER, OPENAI)
    assert fault.evidence == {"supplier": "openai", "places": ["step 1", "step 2"]}


def test_a_second_supplier_anywhere_is_enough() -> None:
    chain = a_chain(a_model(a_source()), a_model(a_source(), a_source(AZURE)))

    assert faults(chain, FindingKind.SAME_SUPPLIER_ONLY) == []


def test_one_step_alone_does_not_fall_with_others() -> None:
    assert faults(a_chain(a_model(a_source(), a_source())), FindingKind.SAME_SUPPLIER_ONLY) == []


def test_a_fallback_that_lacks_what_the_first_has_is_a_mismatch() -> None:
    first = a_model(capabilities=frozenset({"tools", "vision", "poetry"}), context_window=128_000)
    second = a_model(capabilities=frozenset({"vision"}), context_window=8_000)

    (fault,) = faults(a_chain(first, second), FindingKind.CAPABILITY_MISMATCH)

    assert fault.where == "chain 'prod-chat', step 2"
    assert fault.evidence == {"lacks": ["tools"], "context_window": 8_000, "first_context_window": 128_000}


def test_what_nobody_said_of_a_fallback_is_no_mismatch() -> None:
    first = a_model(capabilities=frozenset({"tools"}), context_window=128_000)

    assert faults(a_chain(first, a_model()), FindingKind.CAPABILITY_MISMATCH) == []
    assert faults(a_chain(a_model(), first), FindingKind.CAPABILITY_MISMATCH) == []


def test_a_source_that_can_less_than_its_model_is_a_mismatch() -> None:
    capabilities = frozenset({"tools", "vision"})
    weak = Source(uuid4(), uuid4(), OPENAI, "openai", None, features={"tools": False})
    model = a_model(weak, capabilities=capabilities)

    (fault,) = faults(a_chain(a_model(capabilities=capabilities), (model, weak)), FindingKind.CAPABILITY_MISMATCH)

    assert fault.evidence == {"lacks": ["tools"]}


def test_a_fallback_that_costs_three_times_as_much_is_a_jump() -> None:
    first = a_model(a_source(input=1, output=4), a_source(input=2, output=4))
    second = a_model(a_source(input=3, output=11))

    (fault,) = faults(a_chain(first, second), FindingKind.COST_JUMP)

    assert (fault.place, fault.evidence) == ("step 2", {"input": ["1", "3"]})


def test_a_free_first_choice_has_no_multiple_and_unknown_prices_no_jump() -> None:
    dear = a_model(a_source(input=100, output=100))

    assert faults(a_chain(a_model(a_source(input=0)), dear), FindingKind.COST_JUMP) == []
    assert faults(a_chain(a_model(a_source()), dear), FindingKind.COST_JUMP) == []
    assert faults(a_chain(dear, a_model(a_source(input=1))), FindingKind.COST_JUMP) == []


def test_a_step_that_names_what_an_earlier_one_does_is_a_duplicate() -> None:
    model, other = a_model(), a_model()

    (fault,) = faults(a_chain(model, other, model), FindingKind.DUPLICATE_STEP)

    assert (fault.place, fault.evidence) == ("step 3", {"same_as": "step 1"})


def test_replacements_that_lead_back_are_a_cycle() -> None:
    ringed, plain = a_model(ring=("b", "a")), a_model()

    def replaced_by(successor: Model) -> list[Place]:
        holder_id = uuid4()
        itself = Model(holder_id, "itself", None)
        references = references_of_model(holder_id, [], None, successor.id)
        return places(references, successor, itself, kind=HolderKind.MODEL, holder_id=holder_id)

    (fault,) = faults(replaced_by(ringed), FindingKind.CYCLE)
    assert (fault.place, fault.evidence) == ("replacement", {"ring": ["b", "a"]})
    assert faults(replaced_by(plain), FindingKind.CYCLE) == []


def test_a_lost_replacement_degrades_and_a_lost_name_is_dead() -> None:
    gone = a_model(gone="disabled")
    holder_id = uuid4()
    itself = Model(holder_id, "itself", "delisted")
    references = references_of_model(holder_id, ["gpt"], "language", gone.id)

    judged = places(references, gone, itself, kind=HolderKind.MODEL, holder_id=holder_id)

    assert [each.place for each in faults(judged, FindingKind.DEAD)] == ["alias 'gpt'", "default of type language"]
    assert [each.place for each in faults(judged, FindingKind.DEGRADED)] == ["replacement"]


def test_a_lost_judge_degrades_because_the_local_classifier_decides() -> None:
    gone, stays = a_model(gone="disabled"), a_model()
    routing = references_of_complexity([("easy", [stays.id])], judge_model_id=gone.id)

    judged = places(routing, gone, stays, kind=HolderKind.COMPLEXITY)

    assert [each.place for each in faults(judged, FindingKind.DEGRADED)] == ["judge"]
    assert faults(judged, FindingKind.DEAD) == []


def test_what_retires_within_thirty_days_is_told_with_the_day() -> None:
    last, first_after = datetime(2026, 1, 31, 12, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    chain = a_chain(a_model(retires_at=last), a_model(retires_at=first_after))

    (fault,) = faults(chain, FindingKind.RETIRING_SOON)

    assert (fault.place, fault.evidence) == ("step 1", {"retires_on": "2026-01-31"})


def test_what_is_gone_already_is_not_retiring() -> None:
    gone = a_model(retires_at=datetime(2026, 1, 2, tzinfo=UTC), gone="retired")

    assert faults(a_chain(gone), FindingKind.RETIRING_SOON) == []


def test_an_available_model_without_a_price_is_pending_where_others_have_one() -> None:
    model, priced, gone = a_model(), a_model(charge=Rates(Decimal(1))), a_model(gone="disabled")

    def pending(each: Model, *, is_charging: bool = True) -> list[str]:
        references = references_of_model(each.id, [], None, None)
        judged = places(references, each, kind=HolderKind.MODEL, holder_id=each.id)
        return [fault.place for fault in faults(judged, FindingKind.PENDING_PRICE, is_charging=is_charging)]

    assert pending(model) == ["price"]
    assert pending(model, is_charging=False) == []
    assert (pending(priced), pending(gone)) == ([], [])


def test_a_price_of_what_is_gone_is_orphaned() -> None:
    gone = a_model(gone="delisted", charge=Rates(Decimal(1)))

    (fault,) = find_faults(
        places(references_of_price(gone.id), gone, kind=HolderKind.PRICE), Circumstances(TODAY, is_charging=True)
    )

    assert (fault.kind, fault.reason) == (FindingKind.ORPHANED_PRICE, "delisted")


def test_each_source_that_costs_more_than_is_charged_has_a_negative_margin() -> None:
    dear, cheap, gone = a_source(AZURE, input=3, output=1), a_source(input=1), a_source(input=9, gone="delisted")
    model = a_model(dear, cheap, gone, charge=Rates(Decimal("2.50"), None))

    (fault,) = faults(places(references_of_price(model.id), model, kind=HolderKind.PRICE), FindingKind.NEGATIVE_MARGIN)

    assert fault.spot.target_id == dear.id
    assert fault.evidence == {"supplier": "azure", "input": ["2.5", "3"]}


def test_an_inactive_holder_breaks_no_rule() -> None:
    model = a_model(a_source(), retires_at=datetime(2026, 1, 2, tzinfo=UTC))
    chain = a_chain(model, model)
    holder = Holder(HolderKind.CHAIN, uuid4(), "off", is_active=False)

    inactive = [Place(holder, each.ordinal, each.reference, each.model, each.source) for each in chain]

    assert len(find_faults(chain, Circumstances(TODAY, is_charging=True))) > 0
    assert find_faults(inactive, Circumstances(TODAY, is_charging=True)) == []
