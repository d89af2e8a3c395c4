"""Other teams hear by the documents' programs, and by NATS' own client for Node, each with the least privilege."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from foreign import Saying, program, saying
from modelbus.contracts.bus import USAGE
from modelbus.contracts.bus_users import OPERATOR, SUBSCRIBER
from modelbus.launcher.nats import NatsServer
from node_packages import NODE, install
from permitted_bus import PASSWORDS, TEAM, permitted_bus, url_of
from running import eventually

type Team = Callable[[NatsServer], AbstractAsyncContextManager[Saying]]


@pytest.fixture
async def server(public_directory: Path) -> AsyncIterator[NatsServer]:
    async with permitted_bus(public_directory) as running:
        yield running


@pytest.fixture
async def operator(server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(url_of(server, OPERATOR))
    yield client
    await client.close()


@pytest.fixture(scope="module")
async def node(pytestconfig: pytest.Config) -> Path:
    return await install(pytestconfig, Path(__file__).parent / "nats")


def in_python(_node: Path) -> Team:
    written = program("pull_subscribe_bind")
    return lambda server: saying(sys.executable, "-c", written, NATS_URL=url_of(server, TEAM))


def in_node(node: Path) -> Team:
    return lambda server: saying(NODE, node / "work.mjs", server.url, TEAM, PASSWORDS[TEAM])


async def use(operator: Client, first: int, last: int) -> None:
    """Tell usage, as routers do."""
    for number in range(first, last + 1):
        await operator.jetstream().publish("usage.recorded", b"{}", headers={"ce-id": f"use-{number}"})


async def give_work(operator: Client) -> None:
    """Do what `nats consumer add USAGE billing --pull --deliver all --ack explicit --filter usage.recorded` does."""
    config = ConsumerConfig(
        durable_name=TEAM,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        filter_subject="usage.recorded",
    )
    await operator.jetstream().add_consumer(USAGE.name, config)


async def nobody_asks(operator: Client) -> bool:
    info = await operator.jetstream().consumer_info(USAGE.name, TEAM)
    return bool(info.num_waiting == 0)


@pytest.mark.parametrize("language", [in_python, in_node])
async def test_a_team_that_comes_late_gets_all_from_the_first_on_then_follows_and_goes_on_where_it_stopped(
    server: NatsServer, operator: Client, node: Path, language: Callable[[Path], Team]
) -> None:
    team = language(node)
    await use(operator, 1, 3)
    await give_work(operator)
    async with team(server) as working:
        assert await working.lines(3) == ["1 use-1", "2 use-2", "3 use-3"]
        await use(operator, 4, 4)
        assert await working.line() == "4 use-4"
    # Or the server gives the fifth to a question of the one that was killed, and has it back half a minute later.
    await eventually(lambda: nobody_asks(operator))
    await use(operator, 5, 6)
    async with team(server) as working:
        # The fourth may come again: it was killed after it had spoken and maybe before it answered for it.
        again = await working.line()
        assert again in {"4 use-4", "5 use-5"}
        await working.until("6 use-6")


async def test_a_subscriber_in_node_hears_with_wildcards_and_nothing_but_what_it_may(
    server: NatsServer, operator: Client, node: Path
) -> None:
    async with saying(NODE, node / "hear.mjs", server.url, SUBSCRIBER, PASSWORDS[SUBSCRIBER]) as hearing:
        assert await hearing.line() == "listening"
        await operator.publish("access_key.changed", b"{}", headers={"ce-id": "sealed"})
        await operator.publish("model.unavailable", b'{"name": "openai/gpt-4o"}', headers={"ce-id": "a"})

        assert await hearing.line() == "model.unavailable a openai/gpt-4o"
