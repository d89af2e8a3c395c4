"""A leaf node of NATS near routers, configured as the page for operators says: they hear and tell through it."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import nats
import nats.js.errors
import pytest
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from modelbus.chassis import topology
from modelbus.chassis.messaging import Bus
from modelbus.chassis.nats_config import write_nats_config
from modelbus.contracts.bus import USAGE
from modelbus.contracts.bus_users import OPERATOR
from modelbus.launcher.nats import NatsServer
from modelbus.launcher.program import wait_ready
from modelbus.simulator import running_simulator
from permitted_bus import PASSWORDS, url_of
from router.feeds import Feed, tell
from router.routers import RunningRouter, running_router
from router.world import a_world
from running import eventually, free_port
from system.documents import ROOT

pytestmark = pytest.mark.system

HUB, LEAF = re.findall(r"^```conf\n(.*?)^```$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE | re.DOTALL)
PLACE = "0.0.0.0:7422"


class Hub(NatsServer):
    """Where the streams are."""

    place: str
    """Where leaf nodes connect."""

    def prepare(self) -> None:
        super().prepare()
        assert PLACE in HUB
        place = self.directory / "nats.conf"
        place.write_text(place.read_text() + HUB.replace(PLACE, self.place))


class Leaf(NatsServer):
    """A server with nothing of its own."""

    upstream: str

    def prepare(self) -> None:
        written = {
            "0.0.0.0:4222": f"127.0.0.1:{self.port}",
            "operator:...@hub:7422": f"operator:{PASSWORDS[OPERATOR]}@{self.upstream}",
        }
        text = LEAF
        for shown, here in written.items():
            assert shown in text
            text = text.replace(shown, here)
        (self.directory / "nats.conf").write_text(text)


@pytest.fixture
async def servers(public_directory: Path) -> AsyncIterator[tuple[Hub, Leaf]]:
    hub = Hub(public_directory / f"nats-{uuid4().hex[:8]}", free_port(), passwords=PASSWORDS)
    leaf = Leaf(public_directory / f"nats-{uuid4().hex[:8]}", free_port(), passwords=PASSWORDS)
    hub.place = leaf.upstream = f"127.0.0.1:{free_port()}"
    for server in (hub, leaf):
        server.directory.mkdir()
        write_nats_config(server.users, ["billing=USAGE"])
        server.prepare()
        server.start()
        wait_ready([server], within_s=10)
    client = await nats.connect(url_of(hub, OPERATOR))
    await topology.ensure(client.jetstream())
    await client.close()
    yield hub, leaf
    for server in (leaf, hub):
        server.stop()
        shutil.rmtree(server.directory)


async def revision(router: RunningRouter) -> int:
    return int((await router.cache())["revision"])


async def is_at(router: RunningRouter, wanted: int) -> bool:
    return await revision(router) == wanted


async def last_usage(context: JetStreamContext) -> RawStreamMsg | None:
    try:
        return await context.get_last_msg(USAGE.name, "usage.recorded")
    except nats.js.errors.NotFoundError:
        return None


async def test_a_router_at_a_leaf_node_hears_the_catalog_tells_usage_and_may_no_more_than_elsewhere(
    servers: tuple[Hub, Leaf], tmp_path: Path
) -> None:
    hub, leaf = servers
    async with running_simulator() as simulator, AsyncExitStack() as catalog, AsyncExitStack() as others:
        world = a_world(simulator)
        feed = Feed(world.seed)
        url = await catalog.enter_async_context(feed.running())
        entered = url_of(leaf, "router")
        router = await others.enter_async_context(running_router(tmp_path, catalog_url=url, nats_url=entered))
        await eventually(lambda: revision(router))
        client = await nats.connect(url_of(hub, OPERATOR))
        others.push_async_callback(client.close)
        # What it learns now, it has heard.
        await catalog.aclose()
        await tell(client, feed.change(world.at_beta.model_copy(update={"priority": 5})))
        await eventually(lambda: is_at(router, feed.seed.revision))
        assert (await router.complete()).is_success
        context = client.jetstream()
        told = await eventually(lambda: last_usage(context))

        bus = Bus(entered, service="router")
        bus.start()
        others.push_async_callback(bus.stop)
        await (await bus.connected()).publish("model.changed", b"{}")
        await eventually(lambda: bus.refused["publish"])

    assert told.headers["ce-source"] == "/modelbus/router"
