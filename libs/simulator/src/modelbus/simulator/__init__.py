"""A provider that isn't there: OpenAI, OpenRouter and Anthropic over real HTTP, with every fault on demand."""

from modelbus.simulator.app import Simulator, running_simulator
from modelbus.simulator.checks import BadInputError
from modelbus.simulator.exchanges import Exchange
from modelbus.simulator.faults import Fault, Rule
from modelbus.simulator.providers import Provider

__all__ = ["BadInputError", "Exchange", "Fault", "Provider", "Rule", "Simulator", "running_simulator"]
