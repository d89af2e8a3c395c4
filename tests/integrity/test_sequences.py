"""Whatever happens in the catalog and however it is delivered, the open findings are what the final state deserves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from integrity.teller import (
    Teller,
    Told,
    a_capability,
    a_consumer,
    a_credential,
    a_model,
    a_price,
    a_source,
    a_strategy,
    a_supplier,
    an_access_key,
)
from modelbus.chassis.outbox import _WAITING
from modelbus.contracts.catalog import CHANGES, PriceChanged, RecordChanged
from modelbus.contracts.records import (
    CostPrices,
    ModelCapabilityRecord,
    ModelRecord,
    PriceRecord,
    Record,
    SourceRecord,
)
from modelbus.contracts.references import ReferenceStale
from modelbus.contracts.routing import (
    ChainRecord,
    ChainStepRecord,
    ClassifierRecord,
    ComplexityLevelRecord,
    ComplexityRecord,
    ScopeRecord,
)
from modelbus.integrity.actions.index import load_snapshot
from modelbus.integrity.actions.learning import News, learn
from modelbus.integrity.actions.validations import validate
from modelbus.integrity.domain.findings import STALE_KINDS, Fault
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.store import tables
from modelbus.integrity.store.findings import list_open
from servers import FreshDatabase

MODELS = [UUID(int=1), UUID(int=2)]
SOURCES = {UUID(int=11): MODELS[0], UUID(int=12): MODELS[0], UUID(int=13): MODELS[1]}
CHAIN, COMPLEXITY, SCOPE = UUID(int=21), UUID(int=31), UUID(int=41)
STRATEGY, ACCESS_KEY, CONSUMER, CREDENTIAL = (UUID(int=number) for number in (42, 43, 44, 45))
STEPS = [UUID(int=number) for number in (51, 52, 53)]
SUPPLIERS = [UUID(int=61), UUID(int=62)]
CAPABILITIES = [UUID(int=71), UUID(int=72)]
SOON, LATE = datetime.now(UTC) + timedelta(days=5), datetime.now(UTC) + timedelta(days=500)

reasons = st.sampled_from([None, None, "delisted", "disabled"])
amounts = st.sampled_from([None, Decimal(1), Decimal(10)])
some_models = st.lists(st.sampled_from(MODELS), min_size=1, max_size=2, unique=True)
any_models = st.none() | some_models


@st.composite
def chains(draw: st.DrawFn) -> ChainRecord:
    exact = [(model_id, source_id) for source_id, model_id in SOURCES.items()]
    targets = draw(st.lists(st.sampled_from([*((model_id, None) for model_id in MODELS), *exact, *exact]), max_size=3))
    ids = draw(st.permutations(STEPS))
    return ChainRecord(
        id=CHAIN,
        name="chain",
        is_active=draw(st.sampled_from([True, True, True, False])),
        steps=[
            ChainStepRecord(id=step_id, model_id=model_id, source_id=source_id)
            for step_id, (model_id, source_id) in zip(ids, targets, strict=False)
        ],
    )


@st.composite
def complexities(draw: st.DrawFn) -> ComplexityRecord:
    levels = [ComplexityLevelRecord(level=level, model_ids=draw(some_models)) for level in ("easy", "hard")]
    judge = draw(st.none() | st.sampled_from(MODELS))
    classifier = None if judge is None else ClassifierRecord(thresholds=[], is_sticky=False, judge_model_id=judge)
    return ComplexityRecord(id=COMPLEXITY, name="complexity", is_active=True, levels=levels, classifier=classifier)


@st.composite
def models(draw: st.DrawFn) -> ModelRecord:
    capabilities = draw(st.lists(st.sampled_from(CAPABILITIES), unique=True))
    return a_model(
        draw(st.sampled_from(MODELS)),
        gone=draw(reasons),
        aliases=draw(st.sampled_from([[], ["gpt"]])),
        context_window=draw(st.sampled_from([None, 1000, 9000])),
        is_default=draw(st.booleans()),
        replacement_model_id=draw(st.none() | st.sampled_from(MODELS)),
        retires_at=draw(st.sampled_from([None, SOON, LATE])),
        capabilities=[ModelCapabilityRecord(capability_id=each, config={}) for each in capabilities],
    )


@st.composite
def sources(draw: st.DrawFn) -> SourceRecord:
    source_id = draw(st.sampled_from(list(SOURCES)))
    return a_source(
        SOURCES[source_id],
        source_id,
        gone=draw(reasons),
        supplier_id=draw(st.sampled_from(SUPPLIERS)),
        cost=CostPrices(input=draw(amounts), output=draw(amounts)),
        features=draw(st.none() | st.just({"tools": False})),
    )


scopes = st.builds(
    lambda model_ids, default: ScopeRecord(
        id=SCOPE, name="scope", is_active=True, model_ids=model_ids, default_model_id=default
    ),
    some_models,
    st.none() | st.sampled_from(MODELS),
)
prices = st.builds(
    lambda model_id, amount: a_price(model_id, input=str(amount)),
    st.sampled_from(MODELS),
    st.sampled_from([Decimal(2), Decimal(20)]),
)
allowing = st.one_of(
    any_models.map(lambda ids: a_strategy(ids).model_copy(update={"id": STRATEGY})),
    any_models.map(lambda ids: an_access_key(ids).model_copy(update={"id": ACCESS_KEY})),
    any_models.map(lambda ids: a_consumer(ids).model_copy(update={"id": CONSUMER})),
    any_models.map(lambda ids: a_credential(ids).model_copy(update={"id": CREDENTIAL})),
)
naming = st.one_of(
    st.builds(
        lambda name, supplier_id: a_supplier(name).model_copy(update={"id": supplier_id}),
        st.sampled_from(["openai", "azure"]),
        st.sampled_from(SUPPLIERS),
    ),
    st.builds(
        lambda name, capability_id: a_capability(name).model_copy(update={"id": capability_id}),
        st.sampled_from(["tools", "vision"]),
        st.sampled_from(CAPABILITIES),
    ),
)
changes = st.one_of(
    models(), models(), sources(), sources(), chains(), complexities(), scopes, prices, allowing, naming
)
deletions = changes.map(lambda record: CHANGES[record.kind].gone(record.id))


@dataclass(frozen=True)
class Story:
    """What happened, in what order it arrives, and when snapshots are taken in between."""

    history: list[Record | RecordChanged[Any]]
    deliveries: list[int]
    snapshots: list[tuple[int, int]]
    """Before which delivery a snapshot is loaded, and how much of the history it holds."""
    breaks: set[int]
    """After which deliveries what has arrived is learned, all of it at once."""


BEGINNING: list[Record] = [
    ChainRecord(
        id=CHAIN,
        name="chain",
        is_active=True,
        steps=[
            ChainStepRecord(id=STEPS[0], model_id=MODELS[0], source_id=next(iter(SOURCES))),
            ChainStepRecord(id=STEPS[1], model_id=MODELS[1]),
        ],
    ),
    ScopeRecord(id=SCOPE, name="scope", is_active=True, model_ids=MODELS, default_model_id=MODELS[1]),
]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    history = [*BEGINNING, *draw(st.lists(st.one_of(changes, changes, changes, deletions), min_size=6, max_size=14))]
    # Hypothesis prefers what is simple, which is order; the disorder is left to chance.
    chance = Random(draw(st.integers(0, 2**32)))
    holds = [chance.randint(0, len(history)) for _ in range(chance.randint(1, 2))]
    # What a snapshot holds need not be delivered: the stream may have lost some of it.
    lost = {number for number in range(max(holds)) if chance.random() < 0.5}
    order = [number for number in range(len(history)) if number not in lost]
    order += chance.sample(order, len(order) // 3)
    chance.shuffle(order)
    breaks = {number for number in range(len(order)) if chance.random() < 0.5}
    return Story(history, order, [(chance.randint(0, len(order)), each) for each in holds], breaks)


@pytest.fixture
async def engine(database: FreshDatabase) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(make_url(database.url("integrity")).set(drivername="postgresql+asyncpg"))
    yield made
    await made.dispose()


@given(story=stories())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_open_findings_are_those_of_the_final_state(engine: AsyncEngine, story: Story) -> None:
    teller = Teller()
    snapshots = [teller.snapshot()]
    told = []
    for change in story.history:
        told.append(teller.commit(change))
        snapshots.append(teller.snapshot())
    # One transaction that is never committed: each story begins with an empty index.
    async with AsyncSession(engine) as session:
        heard: list[Told] = []
        for moment in range(len(story.deliveries) + 1):
            for snapshot in (snapshots[holds] for at, holds in story.snapshots if at == moment):
                when = Telling(snapshot.revision, told[0].envelope.time)
                await load_snapshot(session, snapshot, when, keep_newer=True)
            if moment < len(story.deliveries):
                heard.append(told[story.deliveries[moment]])
                if moment in story.breaks or moment == len(story.deliveries) - 1:
                    await deliver(session, heard)
                    heard = []
        expected = deserved(story.history)

        found = [(each.id, each.fault) for each in await list_open(session, None)]
        judged = (await validate(session, tuple(HolderKind))).faults
        references = await list_all_references(session)
        assert {shown(fault) for fault in judged} == {shown(fault) for _, fault in found}
        assert told_to_be_stale(session) == {
            str(each): (fault.kind, fault.severity, fault.reason, repr(fault.evidence)) for each, fault in found
        }
        await session.rollback()
        await load_snapshot(session, snapshots[-1], Telling(teller.revision, told[0].envelope.time), keep_newer=True)
        from_scratch = [each.fault for each in await list_open(session, None)]
        assert sorted(shown(fault) for _, fault in found) == sorted(shown(fault) for fault in from_scratch)
        assert references == await list_all_references(session)
        assert {
            (fault.spot.holder_id, fault.place, fault.spot.target_id, fault.severity, fault.reason)
            for _, fault in found
            if fault.kind in STALE_KINDS and fault.holder.kind in INDEPENDENTLY_JUDGED
        } == expected
        await session.rollback()


INDEPENDENTLY_JUDGED = {HolderKind.CHAIN, HolderKind.COMPLEXITY, HolderKind.SCOPE}


def shown(fault: Fault) -> tuple[str, ...]:
    spot = tuple(str(getattr(fault.spot, name)) for name in ("holder_kind", "holder_id", "place_key", "target_id"))
    # Not where it is in words: an index made anew does not know what deleted models were called.
    return (*spot, fault.kind, fault.place, fault.severity, fault.reason, repr(fault.evidence))


async def list_all_references(session: AsyncSession) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in await session.execute(sa.select(tables.references))}


async def deliver(session: AsyncSession, together: list[Told]) -> None:
    news = []
    for told in together:
        event, at = told.event, Telling(told.envelope.revision or 0, told.envelope.time)
        assert isinstance(event, RecordChanged)
        text = b"" if event.record is None else event.record.model_dump_json().encode()
        news.append(News(at, (event.type.removesuffix(".changed"), event.id), event.record, text))
    await learn(session, news)


def told_to_be_stale(session: AsyncSession) -> dict[str, tuple[str, ...]]:
    """Follow what would be told, as any hearer would: what does it believe to be stale in the end?"""
    believed: dict[str, tuple[str, ...]] = {}
    for recorded in session.info.get(_WAITING, ()):
        if recorded.type == "reference.stale":
            event = ReferenceStale.model_validate_json(recorded.body)
            believed[str(event.finding_id)] = (event.kind, event.severity, event.reason, repr(event.evidence))
        else:
            del believed[recorded.subject]
    return believed


def deserved(history: list[Record | RecordChanged[Any]]) -> set[tuple[UUID, str, UUID, str, str]]:
    """Work out from the final state alone, without any of the rules' own code, what must be open."""
    state: dict[UUID, Any] = {}
    for change in history:
        # A price bears its model's id, and nothing independent is said of prices here.
        if isinstance(change, PriceChanged | PriceRecord):
            continue
        if isinstance(change, RecordChanged):
            state.pop(change.id, None)
        else:
            state[change.id] = change
    open_: set[tuple[UUID, str, UUID, str, str]] = set()
    for holder in state.values():
        for group in groups_of(holder):
            broken = [(place, target, why) for place, target, needs in group if (why := problem(state, needs))]
            severity = "dead" if group and len(broken) == len(group) and group[0][0] != "judge" else "degraded"
            open_ |= {(holder.id, place, target, severity, why) for place, target, why in broken}
    return open_


def groups_of(holder: Any) -> list[list[tuple[str, UUID, list[UUID]]]]:
    if holder.kind == "chain" and holder.is_active:
        return [
            [
                (f"step {n}", s.source_id or s.model_id, [s.source_id, s.model_id] if s.source_id else [s.model_id])
                for n, s in enumerate(holder.steps, 1)
            ]
        ]
    if holder.kind == "complexity":
        judge = holder.classifier.judge_model_id if holder.classifier else None
        levels = [
            [(f"level {level.level}, position {n}", m, [m]) for n, m in enumerate(level.model_ids, 1)]
            for level in holder.levels
        ]
        return [*levels, [("judge", judge, [judge])]] if judge else levels
    if holder.kind == "scope":
        default = [holder.default_model_id] if holder.default_model_id else []
        listed = [(f"position {n}", m, [m]) for n, m in enumerate(holder.model_ids, 1)]
        return [[*listed, *(("default", m, [m]) for m in default)]]
    return []


def problem(state: dict[UUID, Any], needs: list[UUID]) -> str | None:
    for need in needs:
        if need not in state:
            return "deleted"
        if not state[need].is_available:
            return str(state[need].reason)
    return None
