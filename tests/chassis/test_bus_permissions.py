"""Each user of the bus can do what it needs, and is refused everything else, by a real server."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import BadRequestError
from structlog.testing import capture_logs

from modelbus.chassis import nats_config, topology
from modelbus.chassis.messaging import Bus
from modelbus.chassis.settings import BusSettings
from modelbus.contracts.bus import ADVISORIES_STREAM, CATALOG, CONSUMERS, STREAMS, USAGE, Consumer
from modelbus.contracts.bus_users import (
    AMONG_ROUTERS,
    HEARD_BY_ROUTERS,
    HEARTBEAT,
    OPERATOR,
    SEALED,
    SERVICES,
    SUBSCRIBER,
    team,
    users,
)
from modelbus.launcher.nats import NatsServer
from modelbus.launcher.secrets import BUS_USERS
from permitted_bus import PASSWORDS, TEAM, greeting, permitted_bus, url_of
from running import eventually

SUBJECTS = [HEARTBEAT, AMONG_ROUTERS, *(subject for stream in STREAMS for subject in stream.subjects)]
MIGHTY = [
    f"$JS.API.STREAM.{verb}.{stream.name}"
    for verb in ("UPDATE", "DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE")
    for stream in STREAMS
]
"""What would let one service undo another's work."""


@pytest.fixture(scope="module")
async def server(public_directory: Path) -> AsyncIterator[NatsServer]:
    async with permitted_bus(public_directory) as running:
        yield running


@pytest.fixture
async def operator(server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(url_of(server, OPERATOR))
    yield client
    await client.close()


class Trial:
    """A connection of one user that does things, and the count of those that were refused."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def publish(self, *subjects: str) -> int:
        """Publish to each; answers how many were refused."""
        client, before = await self.bus.connected(), self.bus.refused["publish"]
        for subject in subjects:
            await client.publish(subject, b"{}")
        # The server answers in order: once it refuses this, it has refused all that it will.
        await client.subscribe("nobody.may")
        await self._refused("subscription")
        return self.bus.refused["publish"] - before

    async def subscribe(self, *subjects: str) -> int:
        """Subscribe to each; answers how many were refused."""
        client, before = await self.bus.connected(), self.bus.refused["subscription"]
        for subject in subjects:
            await client.subscribe(subject)
        await client.publish("nobody.may", b"")
        await self._refused("publish")
        return self.bus.refused["subscription"] - before

    async def _refused(self, operation: str) -> None:
        before = self.bus.refused[operation]
        await eventually(lambda: self.bus.refused[operation] > before)


@pytest.fixture
async def trial(server: NatsServer, request: pytest.FixtureRequest) -> AsyncIterator[Trial]:
    bus = Bus(url_of(server, request.param), service=request.param)
    bus.start()
    await bus.connected()
    yield Trial(bus)
    await bus.stop()


each_service = pytest.mark.parametrize(("trial", "name"), [(name, name) for name in SERVICES], indirect=["trial"])


def told_by(name: str) -> list[str]:
    own = [subject for stream in STREAMS if name in stream.tellers for subject in stream.subjects]
    return own + {CATALOG.teller: [HEARTBEAT], USAGE.teller: [AMONG_ROUTERS]}.get(name, [])


@each_service
async def test_a_service_tells_its_own_events_and_nobody_elses(trial: Trial, name: str) -> None:
    own = told_by(name)
    foreign = [subject for subject in SUBJECTS if subject not in own]

    assert await trial.publish(*own) == 0
    assert await trial.publish(*foreign, "something.else") == len(foreign) + 1


@each_service
async def test_a_service_changes_no_stream_and_no_consumer_of_others(trial: Trial, name: str) -> None:
    foreign = [
        f"{verb}.{consumer.stream.name}.{consumer.durable}"
        for verb in (
            "$JS.API.CONSUMER.CREATE",
            "$JS.API.CONSUMER.MSG.NEXT",
            "$JS.ACK",
            "$JS.API.CONSUMER.DURABLE.CREATE",
        )
        for consumer in CONSUMERS
        if consumer.hearer != name
    ]
    deleted = [f"$JS.API.CONSUMER.DELETE.{each.stream.name}.{each.durable}" for each in CONSUMERS]
    # A consumer without a name of ours could deliver a stream to anywhere.
    anonymous = [f"$JS.API.CONSUMER.CREATE.{stream.name}" for stream in STREAMS]

    forbidden = [*MIGHTY, *foreign, *deleted, *anonymous]
    assert await trial.publish(*forbidden) == len(forbidden)


@each_service
async def test_a_service_hears_what_it_follows_and_no_inbox_but_its_own(trial: Trial, name: str) -> None:
    followed = [*CATALOG.subjects, HEARTBEAT] if name in {"sync", "router"} else []
    followed += [AMONG_ROUTERS, *HEARD_BY_ROUTERS] if name == USAGE.teller else []
    inboxes = ["_INBOX.>", *(f"_INBOX_{other}.>" for other in (*SERVICES, OPERATOR, SUBSCRIBER) if other != name)]
    foreign = [subject for subject in SUBJECTS if subject not in followed]

    assert await trial.subscribe(*followed, f"_INBOX_{name}.>") == 0
    assert await trial.subscribe(*foreign, *inboxes, ">", "$JS.>") == len(foreign) + len(inboxes) + 2


@pytest.mark.parametrize("trial", ["router"], indirect=True)
async def test_what_is_refused_is_counted_and_logged_with_its_subject(trial: Trial) -> None:
    client = await trial.bus.connected()
    with capture_logs() as logs:
        await client.publish("model.unavailable", b"{}")
        await client.subscribe("reference.stale")
        await eventually(lambda: len(logs) == 2)

    told = [(line["event"], line["operation"], line["subject"], line["log_level"]) for line in logs]
    assert told == [
        ("bus refuses", "publish", "model.unavailable", "error"),
        ("bus refuses", "subscription", "reference.stale", "error"),
    ]
    assert trial.bus.refused == {"publish": 1, "subscription": 1}
    assert await trial.bus.problem() is None


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda each: each.durable)
async def test_a_hearer_makes_its_lost_consumer_and_lost_streams_anew(
    server: NatsServer, operator: Client, consumer: Consumer
) -> None:
    context = operator.jetstream()
    for name in (*(stream.name for stream in STREAMS), ADVISORIES_STREAM):
        await context.delete_stream(name)
    bus = Bus(url_of(server, consumer.hearer), service=consumer.hearer)
    bus.start()

    await topology.restore((await bus.connected()).jetstream(), consumer)

    assert (await context.consumer_info(consumer.stream.name, consumer.durable)).name == consumer.durable
    assert bus.refused == {}
    await bus.stop()
    await topology.ensure(context)


@pytest.mark.parametrize("trial", ["integrity"], indirect=True)
async def test_making_a_stream_anew_can_not_alter_one_that_exists(trial: Trial) -> None:
    context = (await trial.bus.connected()).jetstream()

    with pytest.raises(BadRequestError, match="already in use"):
        await context.add_stream(StreamConfig(name=CATALOG.name, subjects=["model.changed"], max_msgs=1))


@pytest.mark.parametrize("trial", [SUBSCRIBER], indirect=True)
async def test_a_subscriber_hears_all_but_sealed_things_and_tells_nothing(trial: Trial) -> None:
    sealed = [subject for subject in SUBJECTS if subject.partition(".")[0] in SEALED]
    open_to_all = [subject for subject in SUBJECTS if subject not in {AMONG_ROUTERS, *sealed}]
    closed = [subject for subject in SUBJECTS if subject not in open_to_all]

    assert closed
    assert await trial.subscribe(*open_to_all, "model.*", "_INBOX_subscriber.mine") == 0
    # Where the operator's tools get their answers, secrets may be among them.
    foreign = [">", "*.changed", "_INBOX.>", "_INBOX.mine", "_INBOX_catalog.>", "_INBOX_operator.>"]
    assert await trial.subscribe(*closed, *foreign) == len(closed) + len(foreign)
    forbidden = [*SUBJECTS, *MIGHTY, *(f"$JS.API.CONSUMER.CREATE.{stream.name}" for stream in STREAMS)]
    assert await trial.publish(*forbidden) == len(forbidden)
    context = (await trial.bus.connected()).jetstream()
    assert (await context.stream_info(CATALOG.name)).config.name == CATALOG.name


async def test_a_team_works_off_its_own_consumer_and_can_do_nothing_else(server: NatsServer, operator: Client) -> None:
    context = operator.jetstream()
    await context.add_consumer(USAGE.name, ConsumerConfig(durable_name=TEAM, ack_wait=30))
    await context.publish("usage.recorded", b"{}")
    bus = Bus(url_of(server, TEAM), service=TEAM)
    bus.start()
    client = await bus.connected()

    pulled = await client.jetstream().pull_subscribe_bind(
        TEAM, USAGE.name, inbox_prefix=f"{bus.inbox_prefix}.".encode()
    )
    [message, *_] = await pulled.fetch(1, timeout=5)
    await message.ack_sync()

    assert bus.refused == {}
    assert (await context.consumer_info(USAGE.name, TEAM)).num_ack_pending == 0
    forbidden = [*SUBJECTS, *MIGHTY, "$JS.API.CONSUMER.MSG.NEXT.USAGE.catalog-usage", "$JS.API.STREAM.MSG.GET.USAGE"]
    assert await Trial(bus).publish(*forbidden) == len(forbidden)
    assert await Trial(bus).subscribe("usage.recorded", "_INBOX.>") == 2
    await bus.stop()


@pytest.mark.parametrize("shown", [{}, {"user": "router"}, {"user": "router", "pass": "guessed"}])
async def test_nobody_enters_without_the_right_password(server: NatsServer, shown: dict[str, str]) -> None:
    assert await greeting(server.port, shown) == b"-ERR 'Authorization Violation'\r\n"


# The client leaves a socket that it was refused on to the collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
async def test_a_wrong_password_is_logged_and_the_service_is_not_ready(server: NatsServer) -> None:
    bus = Bus(url_of(server, "router").replace("0router", "guessed"), service="router")
    with capture_logs() as logs:
        bus.start()
        await eventually(lambda: logs)

    assert "Authorization Violation" in logs[0]["error"]
    assert "guessed" not in json.dumps(logs)
    assert await bus.problem() is not None
    await bus.stop()
    gc.collect()


async def test_a_password_in_settings_of_its_own_opens_the_bus_as_one_in_the_url_does(server: NatsServer) -> None:
    settings = BusSettings(nats_url=server.url, nats_user="sync", nats_password=PASSWORDS["sync"])
    bus = Bus.of(settings, service="sync")
    bus.start()

    async with asyncio.timeout(10):
        await bus.connected()

    assert bus.inbox_prefix == "_INBOX_sync"
    await bus.stop()


def test_every_consumer_has_a_service_and_every_teller_is_a_user() -> None:
    assert {consumer.hearer for consumer in CONSUMERS} <= set(SERVICES)
    assert {teller for stream in STREAMS for teller in stream.tellers} <= set(SERVICES)


def test_make_up_knows_every_user_of_the_bus() -> None:
    assert [user.name for user in users()] == list(BUS_USERS)


def test_the_configuration_holds_no_password() -> None:
    passwords = [line.strip() for line in nats_config.nats_config().splitlines() if "password:" in line]

    assert passwords == [f"password: ${user.password_variable}" for user in users()]


@pytest.mark.parametrize("name", ["catalog", "catalog-usage", "operator", "Billing", "a.b", "", "x" * 33])
def test_a_teams_name_that_is_taken_or_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't be a team's name"):
        team(name, USAGE)


def test_a_team_on_a_stream_that_is_none_is_told_which_there_are() -> None:
    with pytest.raises(ValueError, match="NAME=STREAM with one of CATALOG"):
        nats_config.write_nats_config(None, ["billing=BILLS"])
