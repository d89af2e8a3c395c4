"""Every fault by name, and what is expected of it."""

from collections import Counter
from dataclasses import dataclass, field

from faults import causing, clusters
from faults.causing import Cause, broken, frozen, killed, relay_cut_off, relay_frozen, relay_killed
from faults.rig import Shape

SLOW = 2.0
"""How much longer than promised something may take, as tests are run on slow machines too."""
FRESH_S = 1.0
"""Promised: the age that a change may reach before a router knows of it, while the bus works."""
SILENT_S = 5.0
"""The same without the bus, or with a leader that is gone."""

SERVERS = {"nats": "NATS", "postgres": "PostgreSQL"}
"""What `catalog-2` reaches by wires, and how it is called."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what is expected to come of it."""

    name: str
    cause: Cause
    promised_s: float = SILENT_S
    """Age of the oldest change that an answering router may not know of."""
    is_held: bool = True
    """Whether that is kept, slow machines allowed for; otherwise it is the fault itself that keeps routers from it."""
    disturbs: tuple[str, ...] = ()
    """Routers whose callers may see failures."""
    parks: Counter[str] = field(default_factory=Counter)
    """Messages that must be parked by it, by consumer."""
    leader: str | None = None
    """Which process must tell its outbox before it begins; None for either of its kind."""
    shape: Shape = "one node"
    """Of what it is caused on."""


FAULTS = (
    Fault("the catalog that tells is killed", relay_killed("catalog")),
    Fault("the other catalog is killed", causing.follower_killed),
    Fault("sync is killed", killed("sync"), FRESH_S),
    Fault("integrity is killed", killed("integrity"), FRESH_S),
    Fault("a router is killed", killed("router"), is_held=False, disturbs=("router",)),
    Fault("NATS is killed", killed("nats")),
    Fault("PostgreSQL is killed", killed("postgres")),
    Fault("NATS and PostgreSQL are killed", killed("nats", "postgres")),
    Fault("the catalog that tells is frozen", relay_frozen("catalog")),
    Fault("the other catalog is frozen", causing.follower_frozen, FRESH_S),
    Fault("sync is frozen", frozen("sync"), FRESH_S),
    Fault("integrity is frozen", frozen("integrity"), FRESH_S),
    Fault("a router is frozen", frozen("router"), is_held=False, disturbs=("router",)),
    Fault("NATS is frozen", frozen("nats")),
    Fault("PostgreSQL is frozen", frozen("postgres")),
    Fault("JetStream is wiped", causing.wiped),
    Fault("all consumers are deleted", causing.consumers_deleted(), FRESH_S),
    Fault("the consumers of sync are deleted", causing.consumers_deleted("sync"), FRESH_S),
    Fault("the consumers of integrity are deleted", causing.consumers_deleted("integrity"), FRESH_S),
    Fault("nobody can read a message", causing.poisoned, FRESH_S, parks=causing.parked_by_poison()),
    *(
        Fault(
            f"ways to {called}: {how}",
            broken(server, how),
            SILENT_S if server in SERVERS else FRESH_S,
            leader="catalog-2" if server in SERVERS else None,
        )
        for server, called in (*SERVERS.items(), ("catalog", "the catalog"), ("sync", "sync"))
        for how in ("reset", "refused", "half-open", "slow")
    ),
    Fault("killed in the middle of a listing", causing.killed_in_a_listing, is_held=False),
    Fault("a router is killed, all else frozen", causing.router_alone, is_held=False, disturbs=("router",)),
    Fault("the configuration is restored", causing.configuration_restored),
    Fault("PostgreSQL is restored from a backup", causing.database_restored),
    *(
        fault
        for service in ("sync", "integrity")
        for fault in (
            Fault(f"the {service} that tells is killed", relay_killed(service), FRESH_S, shape="pairs"),
            Fault(f"the {service} that tells is frozen", relay_frozen(service), FRESH_S, shape="pairs"),
            Fault(
                f"the {service} that tells is cut off from PostgreSQL",
                relay_cut_off(service),
                FRESH_S,
                leader=service,
                shape="pairs",
            ),
        )
    ),
    Fault("a node of three is killed", clusters.killed(clusters.leading), FRESH_S, shape="three nodes"),
    Fault("a node of three is frozen", clusters.frozen(clusters.leading), shape="three nodes"),
    Fault("a node that follows is frozen", clusters.frozen(clusters.following), shape="three nodes"),
    Fault("a node of three is wiped", clusters.wiped, FRESH_S, shape="three nodes"),
    Fault("two nodes of three are killed", clusters.killed(clusters.most), shape="three nodes"),
    Fault("two nodes of three are frozen", clusters.frozen(clusters.most), shape="three nodes"),
    Fault("a node of three is cut off: refused", clusters.cut_off("refused"), shape="three nodes"),
    Fault("a node of three is cut off: half-open", clusters.cut_off("half-open"), shape="three nodes"),
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
    )
)
"""With these the soak begins, so that they happen whenever tests run."""
