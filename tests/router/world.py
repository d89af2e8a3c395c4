"""The catalog that most tests want: gpt-4o at acme first, and at beta, both played by the simulator."""

from dataclasses import dataclass

from modelbus.contracts import records
from modelbus.simulator import Simulator
from router.routers import KEY
from router.seeding import Seed


@dataclass(frozen=True, slots=True)
class World:
    """What is in it."""

    seed: Seed
    acme: records.SupplierRecord
    beta: records.SupplierRecord
    acme_key: records.CredentialRecord
    beta_key: records.CredentialRecord
    model: records.ModelRecord
    at_acme: records.SourceRecord
    at_beta: records.SourceRecord


def a_world(simulator: Simulator) -> World:
    """Seed it."""
    seed = Seed()
    seed.key(KEY)
    acme = seed.supplier("acme", simulator.base_url(simulator.openai))
    beta = seed.supplier("beta", simulator.base_url(simulator.openrouter))
    acme_key = seed.credential(acme, "sim-openai-key-1")
    beta_key = seed.credential(beta, "sim-openrouter-key-1")
    model = seed.model("gpt-4o")
    at_acme = seed.source(model, acme, "gpt-4o", priority=1)
    at_beta = seed.source(model, beta, "openai/gpt-4o", priority=2)
    return World(seed, acme, beta, acme_key, beta_key, model, at_acme, at_beta)
