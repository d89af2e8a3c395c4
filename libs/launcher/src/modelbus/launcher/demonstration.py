"""What the demonstration consists of: names and numbers alone; `seed.py` brings them into the catalog."""

from typing import Any

CHEAP, GOOD, LEAVING, OPEN, DEEP = (
    "openai/gpt-4o-mini",
    "openai/gpt-4o",
    "anthropic/claude-3-5-haiku",  # gone from the later recording, so a chain that names it shows what happens then
    "meta-llama/llama-3.1-70b-instruct",
    "openai/o1-preview",
)
MODELS = (CHEAP, GOOD, LEAVING, OPEN, DEEP)
FIRST_MODEL = CHEAP

_SHARED = {"protocol": "openai", "is_local": True, "sync_interval_s": 3600}
SUPPLIERS: tuple[dict[str, Any], ...] = (
    {
        **_SHARED,
        "name": "openai-direct",
        "display_name": "Simulated OpenAI",
        "kind": "direct",
        "base_url": "/openai/v1",
        "flavour": "openai",
        "namespace": "openai",
    },
    {
        **_SHARED,
        "name": "openrouter",
        "display_name": "Simulated OpenRouter",
        "kind": "aggregator",
        "base_url": "/openrouter/api/v1",
        "flavour": "openrouter",
    },
)
"""`base_url` begins at the simulator."""

CREDENTIALS = {
    "openai-direct": {"key-1": "sim-openai-key-1"},
    "openrouter": {"key-1": "sim-openrouter-key-1", "key-2": "sim-openrouter-key-2"},
}
"""Keys that the simulator accepts, by supplier and name."""

CHAIN = ("default-chat", (LEAVING, CHEAP, OPEN))
COMPLEXITY = (
    "default",
    {
        "trivial": (CHEAP,),
        "easy": (CHEAP, OPEN),
        "medium": (OPEN, CHEAP),
        "hard": (GOOD, LEAVING),
        "expert": (DEEP,),
    },
)
SCOPE = ("support", (CHEAP, LEAVING, OPEN))
"""The first model is the default."""
ACCESS_KEY = "demo"
