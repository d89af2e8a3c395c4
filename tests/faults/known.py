"""Every fault by name, and what is expected of it."""

from collections import Counter
from dataclasses import dataclass, field

from faults import causing, clusters, leaders
from faults.causing import ASLEEP_S, CUT_S, SILENT_S, Cause, broken, frozen, killed
from faults.rig import Shape
from faults.wires import Fault as How

SLOW = 2.0
"""How much longer than promised something may take, as tests are run on slow machines too."""
FRESH_S = 1.0
"""Promised: the age that a change may reach before a router knows of it, while the bus works."""
WITHOUT_S = 5.0
"""The same without the bus, or with a leader that is gone."""

SERVERS = {"nats": "NATS", "postgres": "PostgreSQL"}
"""What `catalog-2` reaches by wires, and how it is called."""
WAYS: tuple[How, ...] = ("reset", "refused", "half-open", "slow")
"""In which wires fail for a moment."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what is expected to come of it."""

    name: str
    cause: Cause
    promised_s: float | None = WITHOUT_S
    """Age of the oldest change that an answering router may not know of; None where the fault itself is in its way."""
    disturbs: tuple[str, ...] = ()
    """Routers that are themselves what fails: their callers may see that, and what they know is as old as it gets."""
    parks: Counter[str] = field(default_factory=Counter)
    """Messages that must be parked by it, by consumer."""
    leader: str | None = None
    """Which process must tell its outbox before it begins; None for either of its kind."""
    shape: Shape = "one node"
    """Of what it is caused on."""
    is_long: bool = False
    """Whether it lasts too long to be one of those at random; they are caused on Linux, which alone can cut wires."""


FAULTS = (
    Fault("the catalog that tells is killed", leaders.killed("catalog")),
    Fault("the other catalog is killed", leaders.follower_killed),
    Fault("sync is killed", killed("sync"), FRESH_S),
    Fault("integrity is killed", killed("integrity"), FRESH_S),
    Fault("a router is killed", killed("router"), FRESH_S, disturbs=("router",)),
    Fault("NATS is killed", killed("nats")),
    Fault("PostgreSQL is killed", killed("postgres")),
    Fault("NATS and PostgreSQL are killed", killed("nats", "postgres")),
    Fault("the catalog that tells is frozen", leaders.frozen("catalog")),
    Fault("the other catalog is frozen", leaders.follower_frozen, FRESH_S),
    Fault("sync is frozen", frozen("sync"), FRESH_S),
    Fault("integrity is frozen", frozen("integrity"), FRESH_S),
    Fault("a router is frozen", frozen("router"), FRESH_S, disturbs=("router",)),
    Fault("NATS is frozen", frozen("nats")),
    Fault("PostgreSQL is frozen", frozen("postgres")),
    Fault("JetStream is wiped", causing.wiped("nats")),
    Fault("all consumers are deleted", causing.consumers_deleted(), FRESH_S),
    Fault("the consumers of the catalog are deleted", causing.consumers_deleted("catalog"), FRESH_S),
    Fault("the consumers of sync are deleted", causing.consumers_deleted("sync"), FRESH_S),
    Fault("the consumers of integrity are deleted", causing.consumers_deleted("integrity"), FRESH_S),
    Fault("nobody can read a message", causing.poisoned, FRESH_S, parks=causing.parked_by_poison()),
    *(
        Fault(
            f"ways to {called}: {how}",
            broken(how, server),
            WITHOUT_S if server in SERVERS else FRESH_S,
            leader="catalog-2" if server in SERVERS else None,
        )
        for server, called in (*SERVERS.items(), ("catalog", "the catalog"), ("sync", "sync"))
        for how in WAYS
    ),
    *(Fault(f"ways to integrity: {how}", causing.unjudged(how), FRESH_S) for how in WAYS),
    *(
        Fault(
            f"ways to a router: {how}",
            broken(how, "router"),
            FRESH_S,
            disturbs=() if how == "slow" else ("router-2",),
        )
        for how in WAYS
    ),
    Fault("killed in the middle of a listing", causing.killed_in_a_listing, promised_s=None),
    Fault("a router is killed, all else frozen", causing.router_alone, promised_s=None, disturbs=("router",)),
    Fault(
        "all are told to end, NATS and PostgreSQL frozen",
        causing.told_to_end,
        promised_s=None,
        disturbs=("router", "router-2"),
    ),
    Fault("the configuration is restored", causing.configuration_restored),
    Fault("PostgreSQL is restored from a backup", causing.database_restored),
    Fault("NATS is frozen for long", frozen("nats", lasts_s=SILENT_S), is_long=True),
    Fault("sync is frozen for long", frozen("sync", lasts_s=ASLEEP_S), FRESH_S, is_long=True),
    Fault("integrity is frozen for long", frozen("integrity", lasts_s=ASLEEP_S), FRESH_S, is_long=True),
    *(
        Fault(f"ways to {called}: cut for long", broken("cut", server, lasts_s=CUT_S), leader="catalog-2", is_long=True)
        for server, called in SERVERS.items()
    ),
    Fault(
        "ways to everything: cut for long",
        broken("cut", *SERVERS, "catalog", "sync", "integrity", lasts_s=CUT_S),
        promised_s=None,
        leader="catalog-2",
        is_long=True,
    ),
    *(
        fault
        for service in ("sync", "integrity")
        for fault in (
            Fault(f"the {service} that tells is killed", leaders.killed(service), FRESH_S, shape="pairs"),
            Fault(f"the {service} that tells is frozen", leaders.frozen(service), FRESH_S, shape="pairs"),
            Fault(
                f"the {service} that tells is cut off from PostgreSQL",
                leaders.cut_off(service),
                FRESH_S,
                leader=service,
                shape="pairs",
            ),
        )
    ),
    Fault("a node of three is killed", clusters.killed(clusters.leading), FRESH_S, shape="three nodes"),
    Fault("a node of three is frozen", clusters.frozen(clusters.leading), shape="three nodes"),
    Fault("a node that follows is frozen", clusters.frozen(clusters.following), shape="three nodes"),
    Fault(
        "a node of three is frozen for long",
        clusters.frozen(clusters.leading, lasts_s=SILENT_S),
        shape="three nodes",
        is_long=True,
    ),
    Fault("a node of three is wiped", clusters.wiped(clusters.leading), FRESH_S, shape="three nodes"),
    Fault("two nodes of three are killed", clusters.killed(clusters.most), shape="three nodes"),
    Fault("two nodes of three are frozen", clusters.frozen(clusters.most), shape="three nodes"),
    Fault("all three nodes are killed", clusters.killed(clusters.every), shape="three nodes"),
    Fault("all three nodes are wiped", clusters.wiped(clusters.every), shape="three nodes"),
    *(Fault(f"a node of three is cut off: {how}", clusters.cut_off(how), shape="three nodes") for how in WAYS),
    *(
        Fault(f"three nodes, ways to them: {how}", broken(how, "nats"), leader="catalog-2", shape="three nodes")
        for how in WAYS
    ),
    Fault("three nodes, all consumers are deleted", causing.consumers_deleted(), FRESH_S, shape="three nodes"),
    Fault("three nodes, the catalog that tells is killed", leaders.killed("catalog"), shape="three nodes"),
    Fault("three nodes, the catalog that tells is frozen", leaders.frozen("catalog"), shape="three nodes"),
    Fault("three nodes, PostgreSQL is killed", killed("postgres"), shape="three nodes"),
)

BY_NAME = {fault.name: fault for fault in FAULTS}

HARDEST = tuple(
    BY_NAME[name]
    for name in (
        "NATS and PostgreSQL are killed",
        "the catalog that tells is frozen",
        "JetStream is wiped",
        "nobody can read a message",
        "killed in the middle of a listing",
        "a router is killed, all else frozen",
        "all are told to end, NATS and PostgreSQL frozen",
    )
)
"""With these the soak begins, so that they happen whenever tests run."""
