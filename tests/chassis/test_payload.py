"""Every server takes the largest event that may be told, or somebody is told that it does not."""

import re
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from builders import an_event
from chassis.test_relay import on_the_stream, relaying
from modelbus.chassis.database import Database
from modelbus.chassis.messaging import Bus
from modelbus.chassis.outbox import record
from modelbus.contracts.bus import MAX_BODY, MAX_PAYLOAD
from modelbus.launcher.nats import CONFIGURATION, NatsServer, start_nats
from modelbus.launcher.program import wait_ready
from running import eventually, free_port
from testing_bus import LocalBus

OF_DEPLOYMENT = Path(__file__).parents[2] / "deploy" / "nats" / "nats.conf"


@pytest.mark.parametrize("written", [CONFIGURATION, OF_DEPLOYMENT.read_text()], ids=["launcher", "deploy"])
def test_the_servers_that_we_configure_take_the_largest_message(written: str) -> None:
    [mebibytes] = re.findall(r"^max_payload: (\d+)MB$", written, re.MULTILINE)

    assert int(mebibytes) * 1024**2 == MAX_PAYLOAD


async def test_the_largest_event_that_is_taken_is_told(catalog_database: Database, tmp_path: Path) -> None:
    bus = LocalBus(start_nats(tmp_path / "nats", free_port()), lambda: None)
    await bus.lay_topology()
    most = MAX_BODY - len(an_event("").model_dump_json())
    async with catalog_database.transaction() as session:
        await record(session, an_event("x" * most))

    async with relaying(catalog_database, bus) as relay:
        await eventually(lambda: relay.relayed == 1)
        [told] = await on_the_stream(bus)
    bus.server.stop()

    assert len(told.data or b"") == MAX_BODY


class NatsServerAsItComes(NatsServer):
    """Without the line that makes it take more."""

    def prepare(self) -> None:
        super().prepare()
        place = self.directory / "nats.conf"
        place.write_text("".join(line for line in place.read_text().splitlines(keepends=True) if "payload" not in line))


async def test_a_server_that_takes_smaller_messages_than_may_be_told_is_named_in_the_log(tmp_path: Path) -> None:
    server = NatsServerAsItComes(tmp_path / "nats", free_port())
    server.prepare()
    server.start()
    wait_ready([server], within_s=10)
    bus = Bus(server.url, service="catalog")

    with capture_logs() as logs:
        bus.start()
        await bus.connected()
    await bus.stop()
    server.stop()

    [warning] = [line for line in logs if line["log_level"] == "warning"]
    assert "max_payload" in warning["event"]
    assert (warning["takes"], warning["needed"]) == (1024**2, MAX_PAYLOAD)
