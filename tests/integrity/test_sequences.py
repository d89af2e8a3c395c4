"""Whatever happens in the catalog and however it is delivered, the open findings are what the final state deserves."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from integrity.teller import Teller, Told, a_model, a_source
from modelbus.chassis.outbox import _WAITING
from modelbus.contracts.catalog import (
    CHANGES,
    ChainChanged,
    ComplexityChanged,
    ModelChanged,
    RecordChanged,
    ScopeChanged,
    SourceChanged,
)
from modelbus.contracts.records import Record
from modelbus.contracts.references import ReferenceStale
from modelbus.contracts.routing import (
    ChainRecord,
    ChainStepRecord,
    ComplexityLevelRecord,
    ComplexityRecord,
    ScopeRecord,
)
from modelbus.integrity.actions.holders import learn_holder
from modelbus.integrity.actions.index import load_snapshot
from modelbus.integrity.actions.targets import learn_model, learn_source
from modelbus.integrity.actions.validations import validate
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.store.findings import list_open
from servers import FreshDatabase

MODELS = [UUID(int=1), UUID(int=2)]
SOURCES = {UUID(int=11): MODELS[0]}
CHAIN, COMPLEXITY, SCOPE = UUID(int=21), UUID(int=31), UUID(int=41)
STEPS = [UUID(int=number) for number in (51, 52, 53)]

reasons = st.sampled_from([None, "delisted", "disabled"])
some_models = st.lists(st.sampled_from(MODELS), min_size=1, max_size=2, unique=True)


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
    return ComplexityRecord(id=COMPLEXITY, name="complexity", is_active=True, levels=levels)


scopes = st.builds(
    lambda model_ids, default: ScopeRecord(
        id=SCOPE, name="scope", is_active=True, model_ids=model_ids, default_model_id=default
    ),
    some_models,
    st.none() | st.sampled_from(MODELS),
)
models = st.builds(lambda model_id, gone: a_model(model_id, gone=gone), st.sampled_from(MODELS), reasons)
sources = st.builds(
    lambda source_id, gone: a_source(SOURCES[source_id], source_id, gone=gone), st.sampled_from(list(SOURCES)), reasons
)
changes = st.one_of(models, models, sources, sources, chains(), complexities(), scopes)
deletions = changes.map(lambda record: CHANGES[record.kind].gone(record.id))


@dataclass(frozen=True)
class Story:
    """What happened, in what order it arrives, and when snapshots are taken in between."""

    history: list[Record | RecordChanged[Any]]
    deliveries: list[int]
    snapshots: list[tuple[int, int]]
    """Before which delivery a snapshot is loaded, and how much of the history it holds."""


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
    return Story(history, order, [(chance.randint(0, len(order)), each) for each in holds])


@pytest.fixture
async def engine(database: FreshDatabase) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(make_url(database.url("integrity")).set(drivername="postgresql+asyncpg"))
    yield made
    await made.dispose()


@given(story=stories())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_open_findings_are_those_of_the_final_state(engine: AsyncEngine, story: Story) -> None:
    teller = Teller()
    snapshots = [teller.snapshot()]
    told = []
    for change in story.history:
        told.append(teller.commit(change))
        snapshots.append(teller.snapshot())
    # One transaction that is never committed: each story begins with an empty index.
    async with AsyncSession(engine) as session:
        for moment in range(len(story.deliveries) + 1):
            for snapshot in (snapshots[holds] for at, holds in story.snapshots if at == moment):
                when = Telling(snapshot.revision, told[0].envelope.time)
                await load_snapshot(session, snapshot, when, keep_newer=True)
            if moment < len(story.deliveries):
                await deliver(session, told[story.deliveries[moment]])
        expected = deserved(story.history)

        findings = await list_open(session, None)
        assert {
            (each.spot.holder_id, each.place, each.spot.target_id, each.severity, each.reason) for each in findings
        } == expected
        assert len(findings) == len(expected)
        assert told_to_be_stale(session) == {str(each.id): (each.severity, each.reason) for each in findings}
        assert len((await validate(session, tuple(HolderKind))).faults) == len(expected)
        await session.rollback()


async def deliver(session: AsyncSession, told: Told) -> None:
    event, at = told.event, Telling(told.envelope.revision or 0, told.envelope.time)
    assert isinstance(event, RecordChanged)
    text = b"" if event.record is None else event.record.model_dump_json().encode()
    if isinstance(event, ModelChanged):
        await learn_model(session, at, event.id, event.record, text)
    elif isinstance(event, SourceChanged):
        await learn_source(session, at, event.id, event.record, text)
    elif isinstance(event, ChainChanged | ComplexityChanged | ScopeChanged):
        kind = HolderKind(event.type.removesuffix(".changed"))
        await learn_holder(session, at, (kind, event.id), event.record, text)


def told_to_be_stale(session: AsyncSession) -> dict[str, tuple[str, str]]:
    """Follow what would be told, as any hearer would: what does it believe to be stale in the end?"""
    believed: dict[str, tuple[str, str]] = {}
    for recorded in session.info.get(_WAITING, ()):
        if recorded.type == "reference.stale":
            event = ReferenceStale.model_validate_json(recorded.body)
            believed[str(event.finding_id)] = (event.severity, event.reason)
        else:
            del believed[recorded.subject]
    return believed


def deserved(history: list[Record | RecordChanged[Any]]) -> set[tuple[UUID, str, UUID, str, str]]:
    """Work out from the final state alone, without any of the rules' own code, what must be open."""
    state: dict[UUID, Any] = {}
    for change in history:
        if isinstance(change, RecordChanged):
            state.pop(change.id, None)
        else:
            state[change.id] = change
    open_: set[tuple[UUID, str, UUID, str, str]] = set()
    for holder in state.values():
        for group in groups_of(holder):
            broken = [(place, target, why) for place, target, needs in group if (why := problem(state, needs))]
            severity = "dead" if len(broken) == len(group) else "degraded"
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
        return [
            [(f"level {level.level}, position {n}", m, [m]) for n, m in enumerate(level.model_ids, 1)]
            for level in holder.levels
        ]
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
