"""Routers hear from one another which credentials suppliers refuse, and believe it only as far as they must."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import nats
import pytest
from nats.aio.client import Client

from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.contracts.bus_users import OPERATOR
from modelbus.contracts.credentials import CredentialCooled, CredentialRejected, CredentialReport
from modelbus.contracts.event import read_event
from modelbus.router.balance.reporting import LONGEST_HEARD_S, Reporter
from modelbus.router.balance.standings import FRESH_S, Refused, Standings
from modelbus.router.cache.records import Credential
from modelbus.simulator import Simulator
from permitted_bus import permitted_bus, url_of
from router.routers import RunningRouter, running_router
from router.world import World
from running import ADMIN_TOKEN, eventually, free_port
from testing_bus import LocalBus

SECOND = timedelta(seconds=1)
KEY = Credential(new_id(), new_id(), "sealed", is_active=True, priority=1, state="ok")


def a_word(*, is_cooled: bool = False, out_s: float = 60.0) -> Refused:
    return Refused(KEY, 429 if is_cooled else 401, is_cooled, out_s)


def test_anothers_word_holds_for_its_time() -> None:
    standings = Standings()

    assert standings.hear(a_word(out_s=60), since=1000, now=1001)
    assert [standings.is_out(KEY, now) for now in (1059, 1061)] == [True, False]


@pytest.mark.parametrize(
    ("is_cooled", "served_at", "is_believed"),
    [
        (False, 1000 - FRESH_S - 1, True),
        (False, 1000 - FRESH_S + 1, False),
        (False, 1000.5, False),
        (True, 999.5, True),
        (True, 1000.5, False),
    ],
)
def test_own_success_weighs_more_than_anothers_word(*, is_cooled: bool, served_at: float, is_believed: bool) -> None:
    standings = Standings()
    standings.note_served(KEY, served_at)

    assert standings.hear(a_word(is_cooled=is_cooled), since=1000, now=1001) is is_believed
    assert standings.is_out(KEY, 1001) is is_believed


def test_nobody_talks_a_credential_out_of_use_for_good() -> None:
    standings = Standings()
    standings.hear(a_word(), since=1000, now=1000)

    assert not standings.hear(a_word(out_s=300), since=1030, now=1030)
    assert not standings.hear(a_word(), since=1061, now=1061)
    standings.note_use(KEY)
    assert standings.hear(a_word(), since=1062, now=1062)


def test_a_call_that_began_later_and_was_served_disproves_the_word() -> None:
    standings = Standings()
    standings.hear(a_word(), since=1000, now=1001)

    standings.note_served(KEY, 999)
    assert standings.is_out(KEY, 1002)
    standings.note_served(KEY, 1000.5)
    assert not standings.is_out(KEY, 1002)


def test_a_refusal_of_ones_own_is_not_disproved_by_what_was_under_way() -> None:
    standings = Standings()
    standings.hear(a_word(out_s=1), since=1000, now=1000)
    standings.refuse(a_word(out_s=60), now=1002)

    standings.note_served(KEY, 1001)

    assert standings.is_out(KEY, 1003)


def test_each_credential_waits_once_to_be_told() -> None:
    standings = Standings()
    for _ in range(3):
        standings.refuse(a_word(), now=1000)
    standings.refuse(a_word(is_cooled=True), now=1000)

    assert [refused.status for refused in standings.take_untold()] == [401, 429]
    assert standings.take_untold() == []


@dataclass(frozen=True, slots=True)
class Replica:
    """What one router knows of credentials, on a bus, without the rest of it."""

    standings: Standings
    reporter: Reporter
    bus: Bus
    told: list[CredentialReport]

    async def turn(self) -> None:
        await self.reporter.tell(self._note)

    async def _note(self, report: CredentialReport) -> None:
        self.told.append(report)


@asynccontextmanager
async def a_replica(world: World, url: str) -> AsyncIterator[Replica]:
    bus, standings = Bus(url, service="router"), Standings()
    bus.start()
    replica = Replica(standings, Reporter(standings, world.seed.table, bus, router_id="r1"), bus, [])
    yield replica
    await bus.stop()


@asynccontextmanager
async def a_listener(world: World, bus: LocalBus) -> AsyncIterator[tuple[Replica, Client]]:
    client = await bus.client()
    async with a_replica(world, bus.url) as replica:

        async def hears() -> bool:
            await replica.turn()
            await client.publish(CredentialCooled.type, body_of(world.beta_key, status=429))
            return replica.reporter.believed == 1

        await eventually(hears)
        yield replica, client
    await client.close()


def body_of(credential: Any, *, kind: type[CredentialReport] = CredentialCooled, **fields: Any) -> bytes:
    now = datetime.now(UTC)
    usual: dict[str, Any] = {
        "credential_id": credential.id,
        "supplier_id": credential.supplier_id,
        "generation": 1,
        "status": 401,
        "at": now,
        "until": now + timedelta(minutes=1),
        "observer": "r2",
    }
    return kind(**(usual | fields)).model_dump_json().encode()


async def test_a_word_is_bounded_whatever_it_says(world: World, bus: LocalBus) -> None:
    [key] = world.seed.table().credentials.found("supplier", world.acme.id)
    async with a_listener(world, bus) as (replica, client):
        day = datetime.now(UTC) + timedelta(days=1)
        await client.publish(CredentialRejected.type, body_of(world.acme_key, kind=CredentialRejected, until=day))

        await eventually(lambda: replica.reporter.believed == 2)
        assert LONGEST_HEARD_S - 5 < replica.standings.out_for(key, monotonic()) <= LONGEST_HEARD_S


async def test_what_is_over_unknown_of_another_secret_or_unreadable_counts_for_nothing(
    world: World, bus: LocalBus
) -> None:
    key, long_ago = world.acme_key, datetime.now(UTC) - timedelta(minutes=5)
    async with a_listener(world, bus) as (replica, client):
        for body in (
            b"{",
            b'{"credential_id": 7}',
            body_of(key, at=long_ago, until=long_ago + timedelta(minutes=1)),
            body_of(key.model_copy(update={"id": new_id()})),
            body_of(key, generation=2),
        ):
            await client.publish(CredentialRejected.type, body)
        # Of the others each says that it is out for longer.
        brief = datetime.now(UTC) + 30 * SECOND
        await client.publish(CredentialRejected.type, body_of(key, until=brief))

        await eventually(lambda: replica.reporter.believed == 2)
        [known] = world.seed.table().credentials.found("supplier", world.acme.id)
        assert 0 < replica.standings.out_for(known, monotonic()) <= 30


async def test_the_same_of_the_same_credential_is_told_once_in_a_while(world: World, bus: LocalBus) -> None:
    [key] = world.seed.table().credentials.found("supplier", world.acme.id)
    now = datetime.now(UTC)
    async with a_replica(world, bus.url) as replica:
        await eventually(lambda: replica.bus.is_connected)
        for after_s in (0, 1, 4, 6):
            replica.standings.refuse(Refused(key, 401, is_cooled=False, out_s=300, at=now + after_s * SECOND), 0)
            await replica.turn()

    assert [(report.type, report.at) for report in replica.told] == [
        ("credential.rejected", now),
        ("credential.rejected", now + 6 * SECOND),
    ]
    [first, _] = replica.told
    assert (first.credential_id, first.generation, first.observer) == (key.id, 1, "r1")
    assert first.until - first.at == timedelta(minutes=5)


async def test_with_the_bus_away_nothing_is_told_and_nothing_waits(world: World) -> None:
    [key] = world.seed.table().credentials.found("supplier", world.acme.id)
    async with a_replica(world, f"nats://127.0.0.1:{free_port()}") as replica:
        replica.standings.refuse(Refused(key, 401, is_cooled=False, out_s=300), monotonic())
        await replica.turn()

        assert (replica.told, replica.standings.take_untold()) == ([], [])


async def first_credential(router: RunningRouter, model: str) -> tuple[str | None, str | None]:
    """Answer the credential that would be tried first for the model, and why its source rests."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
    told = (await router.http.post("/api/v1/explain", json=body, headers=headers)).raise_for_status().json()
    [candidate] = told["candidates"]
    return candidate["credential_id"], candidate["resting"]


async def test_what_one_router_is_refused_the_other_does_not_try(
    world: World, tmp_path: Path, public_directory: Path, simulator: Simulator
) -> None:
    at_acme, at_beta = world.seed.model("only-acme"), world.seed.model("only-beta")
    world.seed.source(at_acme, world.acme)
    world.seed.source(at_beta, world.beta)
    async with permitted_bus(public_directory) as server:
        url, client = url_of(server, "router"), await nats.connect(url_of(server, OPERATOR))
        async with (
            running_router(tmp_path / "one", world.seed, nats_url=url) as one,
            running_router(tmp_path / "two", world.seed, nats_url=url) as two,
        ):

            async def hears() -> bool:
                await client.publish(CredentialCooled.type, body_of(world.beta_key, status=429))
                return await first_credential(two, "only-beta") == (None, "no_usable_credential")

            await eventually(hears)
            simulator.openai.accept_keys("another")
            refused = await one.complete(model="only-acme")

            async def knows() -> bool:
                return await first_credential(two, "only-acme") == (None, "no_usable_credential")

            await eventually(knows)
            unserved = await two.complete(model="only-acme")
            found = await client.jetstream().get_last_msg("HEALTH", CredentialRejected.type)
        await client.close()

    assert len(simulator.openai.exchanges) == 1
    assert refused.json()["error"]["code"] == "upstream_credentials_exhausted"
    error = unserved.json()["error"]
    assert (unserved.status_code, error["code"]) == (502, "upstream_credentials_exhausted")
    assert "acme" in error["message"]
    assert "sim-" not in unserved.text
    report = read_event(CredentialRejected, found.data or b"")
    assert (report.credential_id, report.supplier_id, report.status) == (world.acme_key.id, world.acme.id, 401)
    assert b"sim-" not in (found.data or b"")
