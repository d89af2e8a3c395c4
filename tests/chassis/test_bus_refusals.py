"""Whatever a user of the bus was not granted is refused by a real server, counted, and written to the log."""

from collections.abc import AsyncIterator, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js import JetStreamContext
from structlog.testing import capture_logs

from modelbus.chassis.figures import of_bus
from modelbus.chassis.messaging import Bus
from modelbus.contracts.bus import ADVISORIES_STREAM, CONSUMERS, STREAMS, USAGE
from modelbus.contracts.bus_users import AMONG_ROUTERS, HEARTBEAT, OPERATOR, BusUser, inbox_prefix, team, users
from modelbus.launcher.nats import NatsServer
from permitted_bus import TEAM, permitted_bus, url_of
from running import eventually

USERS = [user for user in (*users(), team(TEAM, USAGE)) if user.name != OPERATOR]
EVENTS = [HEARTBEAT, AMONG_ROUTERS, *(subject for stream in STREAMS for subject in stream.subjects)]
NAMES = [*(stream.name for stream in STREAMS), ADVISORIES_STREAM]
WORKED_OFF = [*((each.stream.name, each.durable) for each in CONSUMERS), (USAGE.name, TEAM)]
INBOXES = [f"{inbox_prefix(name)}.answer" for name in (None, OPERATOR, *(user.name for user in USERS))]

OF_STREAM = (
    *("CREATE", "UPDATE", "DELETE", "PURGE", "INFO", "SNAPSHOT", "RESTORE"),
    *("MSG.GET", "MSG.DELETE", "LEADER.STEPDOWN", "PEER.REMOVE"),
)
OF_CONSUMER = ("CREATE", "DURABLE.CREATE", "DELETE", "INFO", "PAUSE", "RESET", "UNPIN", "MSG.NEXT", "LEADER.STEPDOWN")
MIGHTY = ("UPDATE", "DELETE", "PURGE", "RESTORE", "SNAPSHOT", "STEPDOWN", "REMOVE", "PAUSE", "RESET", "UNPIN")
"""Words of the interface of JetStream by which one user could undo or steer another's work."""
API = [
    *("INFO", "STREAM.NAMES", "STREAM.LIST", "META.LEADER.STEPDOWN", "SERVER.REMOVE", "ACCOUNT.PURGE.x"),
    *(f"STREAM.{verb}.{name}" for verb in OF_STREAM for name in NAMES),
    *(f"{verb}.{name}" for verb in ("CONSUMER.NAMES", "CONSUMER.LIST", "CONSUMER.CREATE") for name in NAMES),
    *(f"DIRECT.GET.{name}" for name in NAMES),
    *(f"DIRECT.GET.{stream.name}.{subject}" for stream in STREAMS for subject in stream.subjects),
    *(f"CONSUMER.{verb}.{name}.{durable}" for verb in OF_CONSUMER for name, durable in WORKED_OFF),
    *(f"CONSUMER.CREATE.{name}.{durable}.model.changed" for name, durable in WORKED_OFF),
    *(f"CONSUMER.CREATE.{name}.of_my_own" for name in NAMES),
]
TOLD = [
    *EVENTS,
    *INBOXES,
    *(f"$JS.API.{each}" for each in API),
    *(f"$JS.ACK.{name}.{durable}.1.1.1.1.0" for name, durable in WORKED_OFF),
    *(f"$JS.FC.{name}.x" for name in NAMES),
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CATALOG.integrity",
    "$SYS.REQ.SERVER.PING",
    "something.else",
]
HEARD = [
    *EVENTS,
    *INBOXES,
    *(f"{each.rpartition('.')[0]}.>" for each in INBOXES),
    *(">", "*", "*.*", "*.>", "*.changed", "*.changed.>"),
    *("$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "$SYS.>"),
]


def is_within(subject: str, granted: str) -> bool:
    """Tell whether all that the subject stands for is granted, as the server decides it."""
    ours, theirs = subject.split("."), granted.split(".")
    for place, token in enumerate(theirs):
        if token == ">":
            return len(ours) > place
        if place >= len(ours) or ours[place] == ">" or (token != "*" and token != ours[place]):
            return False
    return len(ours) == len(theirs)


def beyond(granted: Iterable[str], subjects: list[str]) -> list[str]:
    return [subject for subject in subjects if not any(is_within(subject, each) for each in granted)]


@pytest.fixture(scope="module")
async def server(public_directory: Path) -> AsyncIterator[NatsServer]:
    async with permitted_bus(public_directory) as running:
        yield running


@pytest.fixture
async def stored(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(url_of(server, OPERATOR))
    yield client.jetstream()
    await client.close()


async def state(stored: JetStreamContext) -> list[tuple[object, ...]]:
    """Answer what is there, for the comparison of before and after."""
    return [
        (name, found.config.subjects, found.state.messages, [each.name for each in await stored.consumers_info(name)])
        for name in NAMES
        for found in [await stored.stream_info(name)]
    ]


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
async def test_every_subject_that_is_not_granted_is_refused_counted_and_logged(
    server: NatsServer, stored: JetStreamContext, user: BusUser
) -> None:
    not_told, not_heard = beyond(user.publish, TOLD), beyond(user.subscribe, HEARD)
    before = await state(stored)
    bus = Bus(url_of(server, user.name), service=user.name)
    bus.start()
    client = await bus.connected()

    with capture_logs() as logs:
        for subject in not_told:
            await client.publish(subject, b"{}")
        for subject in not_heard:
            await client.subscribe(subject)
        await eventually(lambda: len(logs) >= len(not_told) + len(not_heard))

    assert [(line["event"], line["log_level"]) for line in logs] == [("bus refuses", "error")] * len(logs)
    assert refused(logs, "publish") == lowered(not_told)
    assert refused(logs, "subscription") == lowered(not_heard)
    assert shown(bus) == {"publish": len(not_told), "subscription": len(not_heard)}
    assert await state(stored) == before
    await bus.stop()


def refused(logs: Iterable[MutableMapping[str, Any]], operation: str) -> list[str]:
    return [line["subject"] for line in logs if line["operation"] == operation]


def lowered(subjects: list[str]) -> list[str]:
    """Answer the subjects as the client tells of them: it reads what the server complains of in small letters."""
    return [subject.lower() for subject in subjects]


def shown(bus: Bus) -> dict[str, float]:
    """Answer what `/metrics` shows of refusals."""
    [family] = [metric for metric in of_bus(bus)() if metric.name == "modelbus_bus_refused"]
    return {each.labels["operation"]: each.value for each in family.samples if each.name.endswith("_total")}


@pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
def test_nobody_but_the_operator_is_granted_anything_by_which_one_undoes_anothers_work(user: BusUser) -> None:
    mighty = [f"$JS.API.{each}" for each in API if any(word in each.split(".") for word in MIGHTY)]
    anywhere = [f"$JS.API.CONSUMER.CREATE.{name}" for name in NAMES]
    foreign = [inbox for inbox in INBOXES if not inbox.startswith(f"{inbox_prefix(user.name)}.")]

    assert beyond(user.publish, [*mighty, *anywhere, *INBOXES]) == [*mighty, *anywhere, *INBOXES]
    assert beyond(user.subscribe, foreign) == foreign
