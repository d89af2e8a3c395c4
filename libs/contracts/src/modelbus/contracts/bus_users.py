"""Who may do what on the bus: derived from the topology, so that a new event or consumer brings its own permissions."""

import re
from dataclasses import dataclass

from modelbus.contracts.bus import ADVISORIES_STREAM, CATALOG, CONSUMERS, STREAMS, USAGE, Consumer, Stream
from modelbus.contracts.catalog import CatalogHeartbeat
from modelbus.contracts.credentials import CredentialCooled, CredentialRejected
from modelbus.contracts.limits import LimitsDrawn

SERVICES = ("catalog", "sync", "router", "integrity")
OPERATOR = "operator"
"""Administers streams and consumers; no service runs as this user."""
SUBSCRIBER = "subscriber"
"""For other teams: hears, tells nothing."""

HEARTBEAT = CatalogHeartbeat.type
AMONG_ROUTERS = LimitsDrawn.type
"""Told by routers to routers, and of use to nobody else."""
HEARD_BY_ROUTERS = (CredentialRejected.type, CredentialCooled.type)
"""What one router sees of a credential all of them are to know at once, and not only when the catalog tells it."""
FOLLOWERS = ("sync", "router")
"""Services with a copy of the catalog, which hear all of it beside the feed."""
SEALED = ("credential", "access_key")
"""What these events carry is of use to services only, be it sealed or hashed."""
DEFAULT_INBOX = "_INBOX"
TEAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True, slots=True)
class BusUser:
    """A user of the NATS server, and the only subjects that it may publish and subscribe to."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    @property
    def password_variable(self) -> str:
        """Name the variable of the NATS server's environment that holds the password."""
        return f"MODELBUS_NATS_{self.name.upper()}_PASSWORD"


def inbox_prefix(user: str | None) -> str:
    """Answer where the user's answers arrive; nobody but it and the operator may listen there."""
    return f"{DEFAULT_INBOX}_{user}" if user else DEFAULT_INBOX


def users() -> tuple[BusUser, ...]:
    """Answer every user of this version: the services, the operator and the subscriber."""
    return (
        *(_service(name) for name in SERVICES),
        BusUser(OPERATOR, publish=(">",), subscribe=(">",)),
        _subscriber(),
    )


def team(name: str, stream: Stream) -> BusUser:
    """Answer a user that works off the durable consumer of its own name, and can do nothing else.

    Raises:
        ValueError: the name can't be a user's, or is taken.
    """
    taken = {*SERVICES, OPERATOR, SUBSCRIBER}
    if not TEAM_NAME.fullmatch(name) or name in taken or name in {each.durable for each in CONSUMERS}:
        raise ValueError(
            f"{name!r} can't be a team's name: it must match {TEAM_NAME.pattern} and be none of {sorted(taken)}"
        )
    return BusUser(name, publish=_work(stream.name, name), subscribe=(f"{inbox_prefix(name)}.>",))


def _service(name: str) -> BusUser:
    told = tuple(stream for stream in STREAMS if name in stream.tellers)
    heard = tuple(consumer for consumer in CONSUMERS if consumer.hearer == name)
    publish = [subject for stream in told for subject in stream.subjects]
    publish += [subject for stream in told for subject in _place(stream)]
    publish += [subject for consumer in heard for subject in _own(consumer)]
    if name == CATALOG.teller:
        publish.append(HEARTBEAT)
    if heard:
        publish += _lost_streams()
    followed = (*CATALOG.subjects, HEARTBEAT) if name in FOLLOWERS else ()
    if name == USAGE.teller:
        # Routers sum up what all of them told: read without a consumer, so that there is nothing to steer.
        publish += [AMONG_ROUTERS, f"$JS.API.DIRECT.GET.{USAGE.name}"]
        followed += (AMONG_ROUTERS, *HEARD_BY_ROUTERS)
    return BusUser(name, tuple(dict.fromkeys(publish)), (f"{inbox_prefix(name)}.>", *followed))


def _subscriber() -> BusUser:
    subjects = (HEARTBEAT, *(subject for stream in STREAMS for subject in stream.subjects))
    # By noun, so that `model.*` may be asked for; a wildcard is allowed only within one that is.
    nouns = dict.fromkeys(subject.partition(".")[0] for subject in subjects)
    return BusUser(
        SUBSCRIBER,
        publish=("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.INFO.*"),
        subscribe=(
            f"{inbox_prefix(SUBSCRIBER)}.>",
            *(f"{noun}.*" for noun in nouns if noun not in SEALED),
        ),
    )


def _place(stream: Stream) -> tuple[str, ...]:
    """Ask where one's own stream ends."""
    return (f"$JS.API.STREAM.INFO.{stream.name}", f"$JS.API.STREAM.MSG.GET.{stream.name}")


def _work(stream: str, durable: str) -> tuple[str, ...]:
    """Take messages from a durable consumer and answer for them."""
    return (
        f"$JS.API.CONSUMER.INFO.{stream}.{durable}",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}",
        f"$JS.ACK.{stream}.{durable}.>",
    )


def _own(consumer: Consumer) -> tuple[str, ...]:
    """Work off a consumer, and make it anew once it is gone."""
    place = f"{consumer.stream.name}.{consumer.durable}"
    return (
        *_work(consumer.stream.name, consumer.durable),
        f"$JS.API.CONSUMER.CREATE.{place}",
        f"$JS.API.CONSUMER.CREATE.{place}.>",  # what the client asks for where the consumer has one filter
    )


def _lost_streams() -> list[str]:
    """Find and make streams that are lost; a stream that exists can't be altered by this."""
    names = [*(stream.name for stream in STREAMS), ADVISORIES_STREAM]
    return [f"$JS.API.STREAM.{verb}.{name}" for name in names for verb in ("INFO", "CREATE")]
