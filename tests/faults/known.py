"""Every fault by name, and what is expected of it."""

from collections import Counter
from dataclasses import dataclass, field

from faults import causing
from faults.causing import Cause, broken, frozen, killed

SLOW = 2.0
"""How much longer than promised something may take, as tests are run on slow machines too."""
FRESH_S = 1.0 * SLOW
"""Age that a change may reach before a router knows of it, while the bus works."""
SILENT_S = 5.0 * SLOW
"""The same without the bus, or with a leader that is gone."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what is expected to come of it."""

    name: str
    cause: Cause
    stale_s: float | None = SILENT_S
    """Age of the oldest change that an answering router may not know of; None where that is what the fault is."""
    disturbs: tuple[str, ...] = ()
    """Routers whose callers may see failures."""
    parks: Counter[str] = field(default_factory=Counter)
    """Messages that must be parked by it, by consumer."""
    leader: str | None = None
    """Which catalog must tell the outbox before it begins; None for either."""
    nodes: int = 1
    """On how many NATS nodes it is caused."""


FAULTS = (
    Fault("the catalog that tells is killed", causing.relay_killed),
    Fault("the other catalog is killed", causing.follower_killed),
    Fault("sync is killed", killed("sync"), FRESH_S),
    Fault("integrity is killed", killed("integrity"), FRESH_S),
    Fault("a router is killed", killed("router"), None, disturbs=("router",)),
    Fault("NATS is killed", killed("nats")),
    Fault("PostgreSQL is killed", killed("postgres")),
    Fault("NATS and PostgreSQL are killed", killed("nats", "postgres")),
    Fault("the catalog that tells is frozen", causing.relay_frozen),
    Fault("sync is frozen", frozen("sync"), FRESH_S),
    Fault("integrity is frozen", frozen("integrity"), FRESH_S),
    Fault("a router is frozen", frozen("router"), None, disturbs=("router",)),
    Fault("NATS is frozen", frozen("nats")),
    Fault("PostgreSQL is frozen", frozen("postgres")),
    Fault("JetStream is wiped", causing.wiped),
    Fault("all consumers are deleted", causing.consumers_deleted, FRESH_S),
    Fault("nobody can read a message", causing.poisoned, FRESH_S, parks=causing.parked_by_poison()),
    *(
        Fault(f"ways to {called}: {how}", broken(server, how), leader=None if server == "catalog" else "catalog-2")
        for server, called in (("nats", "NATS"), ("postgres", "PostgreSQL"), ("catalog", "the catalog"))
        for how in ("reset", "refused", "half-open", "slow")
    ),
    Fault("killed in the middle of a listing", causing.killed_in_a_listing, None),
    Fault("a router is killed, all else frozen", causing.router_alone, None, disturbs=("router",)),
    Fault("the configuration is restored", causing.configuration_restored),
    Fault("PostgreSQL is restored from a backup", causing.database_restored),
    Fault("a node of three is killed", causing.node_killed, FRESH_S, nodes=3),
    Fault("a node of three is frozen", causing.node_frozen, nodes=3),
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
