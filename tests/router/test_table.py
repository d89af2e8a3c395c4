"""The routing table: built whole or change by change, it is the same."""

from time import perf_counter
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from modelbus.chassis.feed import Applied
from modelbus.contracts.records import SourceRecord
from modelbus.router.cache.table import Table
from router.seeding import EPOCH, Seed

IDS = [UUID(int=number) for number in range(1, 6)]
NAMES = ["a", "b", "c"]

models = st.fixed_dictionaries(
    {"name": st.sampled_from(NAMES), "aliases": st.lists(st.sampled_from(NAMES), max_size=2)}
)
sources = st.fixed_dictionaries({"model_id": st.sampled_from(IDS), "priority": st.integers(1, 3)})
changes = st.one_of(
    st.tuples(st.just("model"), st.sampled_from(IDS), st.none() | models),
    st.tuples(st.just("source"), st.sampled_from(IDS), st.none() | sources),
)
batches = st.lists(st.lists(changes, max_size=4), max_size=8)


def body_of(kind: str, record_id: UUID, fields: dict[str, Any]) -> bytes:
    seed = Seed()
    if kind == "model":
        made: Any = seed.model("m")
    else:
        made = seed.source(seed.model("m"), seed.supplier("s"))
    body: str = made.model_copy(update={"id": record_id, **fields}).model_dump_json()
    return body.encode()


def looks_of(table: Table) -> Any:
    """Everything that can be asked of models and sources."""
    return (
        {model.id: model for model in table.models.all()},
        {source.id: source for source in table.sources.all()},
        {name: (table.models.found("name", name), table.models.found("alias", name)) for name in NAMES},
        {model_id: table.sources.found("model", model_id) for model_id in IDS},
        (len(table.models), len(table.sources)),
    )


@settings(max_examples=150, deadline=None)
@given(batches)
def test_change_by_change_it_becomes_what_it_is_when_built_whole(history: list[list[Any]]) -> None:
    records: dict[str, dict[UUID, bytes]] = {"model": {}, "source": {}}
    table = Table(EPOCH, 0)
    for revision, batch in enumerate(history):
        applied = Applied({}, {}, is_whole=False)
        for kind, record_id, fields in batch:
            records[kind].pop(record_id, None)
            applied.changed.setdefault(kind, {}).pop(record_id, None)
            applied.gone.setdefault(kind, set()).discard(record_id)
            if fields is None:
                applied.gone[kind].add(record_id)
            else:
                records[kind][record_id] = applied.changed[kind][record_id] = body_of(kind, record_id, fields)
        table = table.after(applied, EPOCH, revision)

    whole = Table(EPOCH, 0).after(Applied(records, {}, is_whole=True), EPOCH, 0)
    assert looks_of(table) == looks_of(whole)


def test_whoever_holds_the_older_table_sees_nothing_of_a_change() -> None:
    seed = Seed()
    model = seed.model("m")
    source = seed.source(model, seed.supplier("s"))
    before = seed.table()

    after = before.after(Applied({"model": {}}, {"source": {source.id}}, is_whole=False), EPOCH, 2)

    assert (len(before.sources), before.revision) == (1, 1)
    assert len(before.sources.found("model", model.id)) == 1
    assert (len(after.sources), after.revision, after.sources.found("model", model.id)) == (0, 2, ())


def test_a_record_that_can_not_be_read_is_left_out_until_it_can() -> None:
    seed = Seed()
    model = seed.model("m")
    broken = model.model_dump_json().replace('"aliases":[]', '"aliases":7').encode()
    before = seed.table()

    without = before.after(Applied({"model": {model.id: broken}}, {}, is_whole=False), EPOCH, 2)
    mended = without.after(Applied(seed.bodies(), {}, is_whole=False), EPOCH, 3)

    assert without.models.get(model.id) is None
    assert without.models.found("name", "m") == ()
    assert list(without.models.unreadable) == [model.id]
    assert mended.models.get(model.id) is not None
    assert not mended.models.unreadable


def test_fields_of_a_newer_catalog_are_skipped() -> None:
    seed = Seed()
    model = seed.model("m")
    newer = model.model_dump_json().replace("{", '{"brand_new":{"deep":[1]},', 1).encode()

    table = Table(EPOCH, 0).after(Applied({"model": {model.id: newer}}, {}, is_whole=True), EPOCH, 1)

    assert table.models.found("name", "m")


def test_one_change_costs_a_small_part_of_the_whole() -> None:
    seed = Seed()
    supplier = seed.supplier("s")
    source = seed.source(seed.model("m"), supplier).model_dump_json()
    bodies: dict[UUID, bytes] = {}
    for number in range(1, 20_001):
        record_id, model_id = UUID(int=number), UUID(int=number // 3 + 1)
        made = SourceRecord.model_validate_json(source).model_copy(update={"id": record_id, "model_id": model_id})
        bodies[record_id] = made.model_dump_json().encode()
    begun = perf_counter()
    table = Table(EPOCH, 0).after(Applied({"source": bodies}, {}, is_whole=True), EPOCH, 1)
    whole_s = perf_counter() - begun

    def one_change(record_id: UUID) -> float:
        begun = perf_counter()
        table.after(Applied({"source": {record_id: bodies[record_id]}}, {}, is_whole=False), EPOCH, 2)
        return perf_counter() - begun

    typical_s = sorted(one_change(UUID(int=number)) for number in range(1, 100))[50]
    assert typical_s < whole_s / 100
