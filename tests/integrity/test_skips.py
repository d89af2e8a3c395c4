"""What routers pass over at run time is explained by a finding, or is one."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from nats.aio.client import Client

from integrity.listening import Ear
from integrity.spending import a_request, an_attempt, tell_usage
from integrity.teller import Teller, a_chain, a_complexity, a_model, a_source, a_split
from modelbus.chassis.database import Database
from modelbus.contracts.routing import ChainRecord
from modelbus.contracts.usage import SkippedRecord
from modelbus.integrity.actions import skips
from modelbus.integrity.actions.skips import judge_skips, note_skips
from modelbus.integrity.jobs import Audit


def a_skip(chain: ChainRecord, step: int = 0) -> SkippedRecord:
    skipped = chain.steps[step]
    return SkippedRecord(
        reference_kind="chain",
        owner_id=chain.id,
        step_id=skipped.id,
        target_id=skipped.source_id or skipped.model_id,
        reason="delisted",
    )


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skips, "SETTLED_AFTER", timedelta(0))


async def opened(database: Database, *requests: Any) -> int:
    """Hear of requests and compare."""
    async with database.transaction() as session:
        await note_skips(session, requests)
    async with database.transaction() as session:
        return await judge_skips(session)


@pytest.mark.usefixtures("_often")
async def test_a_skip_without_a_finding_is_told_once_and_closed_when_its_holder_is_judged_anew(
    http: httpx.AsyncClient, catalog: Teller, nats_client: Client, ear: Ear
) -> None:
    ear.kinds = frozenset({"unflagged_skip"})
    model, other = a_model(), a_model()
    source, chain = a_source(other.id), a_chain(model, other, name="prod")
    await catalog.tell(model, other, a_source(model.id), source, chain)
    skip = a_skip(chain)

    for _ in range(2):
        request = a_request(an_attempt(source), skipped=(skip, skip), catalog_revision=catalog.revision)
        await tell_usage(nats_client.jetstream(), request)
    (told,) = await ear.hears(1)

    assert (told.where, told.target_id, told.evidence["reason"]) == ("chain 'prod', step 1", model.id, "delisted")
    (finding,) = (await http.get("/api/v1/findings", params={"kind": "unflagged_skip"})).json()["items"]
    assert finding["severity"] == "at_risk"
    await catalog.tell(chain.model_copy(update={"name": "prod-2"}))
    closed = (await ear.hears(2))[1]
    assert (closed.finding_id, closed.type) == (told.finding_id, "reference.restored")


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbus.integrity.app.SKIPS_EVERY_S", 0.02)


async def test_a_skip_that_a_finding_explains_or_explained_then_is_none(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    gone, back, other = a_model(gone="delisted"), a_model(gone="disabled"), a_model()
    chain = a_chain(gone, back, other)
    for record in (gone, back, other, chain):
        catalog.commit(record)
    await audit.look()
    before = datetime.now(UTC)
    catalog.commit(a_model(back.id, name=back.name))
    await audit.look()
    await audit.look()
    flagged, flagged_then = (
        a_request(skipped=(a_skip(chain),)),
        a_request(skipped=(a_skip(chain, 1),), started_at=before),
    )

    assert await opened(integrity_database, flagged, flagged_then) == 0
    assert await opened(integrity_database, a_request(skipped=(a_skip(chain, 1),))) == 1
    assert await opened(integrity_database, a_request(skipped=(a_skip(chain, 1),))) == 0


async def test_a_skip_of_a_level_is_known_by_its_target_and_one_of_a_place_that_is_gone_by_nobody(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    model = a_model()
    routing, chain = a_complexity(easy=[model.id]), a_chain(model)
    for record in (model, routing):
        catalog.commit(record)
    await audit.look()
    of_level = SkippedRecord(reference_kind="complexity", owner_id=routing.id, target_id=model.id, reason="deleted")

    assert await opened(integrity_database, a_request(skipped=(a_skip(chain),))) == 0
    assert await opened(integrity_database, a_request(skipped=(of_level,))) == 1


async def test_more_places_than_fit_into_a_statement_are_kept(
    audit: Audit, catalog: Teller, integrity_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelbus.integrity.store.skips._AT_ONCE", 2)
    models = [a_model() for _ in range(3)]
    chain = a_chain(*models)
    for record in (*models, chain):
        catalog.commit(record)
    await audit.look()

    # The last is taken when they are looked at again.
    assert await opened(integrity_database, a_request(skipped=tuple(a_skip(chain, step) for step in range(3)))) == 2
    assert await opened(integrity_database) == 1


async def test_a_skip_of_an_arm_that_no_finding_explains_is_one(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    model = a_model()
    split = a_split(model)
    for record in (model, a_source(model.id), split):
        catalog.commit(record)
    await audit.look()
    skip = SkippedRecord(reference_kind="split", owner_id=split.id, target_id=model.id, reason="delisted")

    assert await opened(integrity_database, a_request(skipped=(skip,))) == 1


async def test_a_skip_waits_until_the_index_is_as_new_as_the_router_but_not_for_ever(
    audit: Audit, catalog: Teller, integrity_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = a_model()
    chain = a_chain(model)
    for record in (model, chain):
        catalog.commit(record)
    await audit.look()
    ahead = a_request(skipped=(a_skip(chain),), catalog_revision=catalog.revision + 1)

    assert await opened(integrity_database, ahead) == 0
    monkeypatch.setattr(skips, "LONGEST_WAIT", timedelta(0))
    assert await opened(integrity_database) == 1


async def test_a_skip_of_a_model_is_of_its_being_the_default_and_of_none_of_its_names(
    audit: Audit, catalog: Teller, integrity_database: Database
) -> None:
    model = a_model(is_default=True, aliases=["nick"])
    catalog.commit(model)
    catalog.commit(a_source(model.id))
    await audit.look()
    skip = SkippedRecord(reference_kind="model", owner_id=model.id, target_id=model.id, reason="delisted")

    assert await opened(integrity_database, a_request(skipped=(skip,))) == 1
