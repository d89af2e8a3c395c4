"""An example of each body that the API takes, for its document; ids stand for things that there are."""

from collections.abc import Mapping
from typing import Any

_MODEL, _OTHER_MODEL = "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e01", "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e02"
_SUPPLIER, _SOURCE = "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e03", "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e04"
_STRATEGY, _SCOPE = "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e05", "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e06"
_CONSUMER, _STEP = "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e07", "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e08"
_CAPABILITY, _CATEGORY = "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e09", "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e10"
_TAG, _OTHER_STEP = "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e11", "01975c3e-7a10-7c5b-8f3e-2b6d1c9a4e12"

_SUPPLY: dict[str, Any] = {
    "NewSupplier": {
        "name": "openrouter",
        "kind": "aggregator",
        "base_url": "https://openrouter.ai/api/v1",
        "flavour": "openrouter",
        "sync_interval_s": 3600,
    },
    "SupplierChanges": {"display_name": "OpenRouter", "removal_after": 3},
    "NewCredential": {"supplier_id": _SUPPLIER, "name": "team-a", "secret": "sk-or-v1-0123456789", "weight": 2},
    "CredentialChanges": {"is_active": False},
    "NewSecret": {"secret": "sk-or-v1-9876543210"},
    "NewSource": {
        "model_id": _MODEL,
        "supplier_id": _SUPPLIER,
        "upstream_name": "openai/gpt-4o",
        "priority": 10,
        "cost": {"input": "2.50", "output": "10"},
    },
    "SourceChanges": {"priority": 20, "weight": 5},
}

_MODELS: dict[str, Any] = {
    "NewModel": {
        "name": "gpt-4o",
        "aliases": ["gpt-4o-latest"],
        "display_name": "GPT-4o",
        "context_window": 128000,
        "max_output_tokens": 16384,
        "parameters": [{"name": "temperature", "parameter_type": "float", "default": 1.0, "minimum": 0, "maximum": 2}],
    },
    "ModelChanges": {"tier": "pro", "retires_at": "2027-01-31T00:00:00Z", "replacement_model_id": _OTHER_MODEL},
    "NewDefault": {"model_id": _MODEL},
    "NewBulk": {
        "filter": {"supplier_id": _SUPPLIER, "model_type": "language"},
        "change": {"tier": "pro", "add_tag_ids": [_TAG]},
        "preview": True,
    },
    "NewParameter": {"name": "top_p", "parameter_type": "float", "default": 1.0, "minimum": 0, "maximum": 1},
    "NewParameters": {"parameters": [{"name": "seed", "parameter_type": "int", "minimum": 0}]},
    "ParameterValues": {"parameter_type": "string", "default": "low", "choices": ["low", "medium", "high"]},
    "Earlier": {"version": 3},
    "Release": {"fields": ["context_window", "modalities"]},
}

_PRICES: dict[str, Any] = {
    "NewPrice": {
        "model_id": _MODEL,
        "prices": {"input": "3.00", "output": "12.00", "cached_input": "1.50"},
        "valid_from": "2027-01-01T00:00:00Z",
    },
    "PriceChanges": {"prices": {"input": "2.80", "output": "11.20"}},
    "NewAdjustment": {
        "filter": {"models": {"supplier_id": _SUPPLIER}, "margin": "negative"},
        "by": {"target_margin": {"percent": "15"}},
        "rounding": {"mode": "up", "to": "0.01"},
        "preview": True,
    },
}

_ROUTING: dict[str, Any] = {
    "NewChain": {
        "name": "prod-chat",
        "steps": [
            {"model_id": _MODEL},
            {"model_id": _OTHER_MODEL, "source_id": _SOURCE, "triggers": ["rate_limit", "timeout"]},
        ],
    },
    "ChainChanges": {"description": "What the chat of the shop uses."},
    "AddedStep": {"model_id": _OTHER_MODEL, "triggers": ["context_length"], "position": 1},
    "StepChanges": {"triggers": ["any"]},
    "NewOrder": {"step_ids": [_OTHER_STEP, _STEP]},
    "NewSplit": {
        "name": "chat-canary",
        "sticky_by": "user",
        "arms": [
            {"name": "control", "model_id": _MODEL, "weight": 95},
            {"name": "canary", "model_id": _OTHER_MODEL, "source_id": _SOURCE, "weight": 5},
        ],
        "shadows": [{"name": "candidate", "model_id": _OTHER_MODEL, "percent": 2.5}],
    },
    "SplitChanges": {
        "arms": [
            {"name": "control", "model_id": _MODEL, "weight": 50},
            {"name": "canary", "model_id": _OTHER_MODEL, "source_id": _SOURCE, "weight": 50},
        ]
    },
    "NewRouting": {
        "name": "default",
        "levels": [{"level": "easy", "model_ids": [_MODEL]}, {"level": "hard", "model_ids": [_OTHER_MODEL]}],
        "classifier": {"thresholds": [0.21, 0.41, 0.57, 0.76], "is_sticky": True},
    },
    "RoutingChanges": {"levels": [{"level": "expert", "model_ids": [_OTHER_MODEL, _MODEL]}]},
    "NewStrategy": {"name": "cheap", "cost_weight": 0.8, "latency_weight": 0.2, "max_input_price": "5.00"},
    "StrategyChanges": {"max_latency_ms": 2000, "model_ids": [_MODEL, _OTHER_MODEL]},
    "NewScope": {
        "name": "billing",
        "domain": "module",
        "model_ids": [_MODEL, _OTHER_MODEL],
        "default_model_id": _MODEL,
        "strategy_id": _STRATEGY,
        "response_cache_s": 300,
    },
    "ScopeChanges": {"default_model_id": _OTHER_MODEL},
}

_ACCESS: dict[str, Any] = {
    "NewConsumer": {"name": "acme", "kind": "tenant", "tier": "pro", "rpm_limit": 600, "budgets": {"month": "500"}},
    "ConsumerChanges": {"tier": "max", "scope_ids": [_SCOPE]},
    "NewAccessKey": {
        "name": "acme-backend",
        "consumer_id": _CONSUMER,
        "expires_at": "2027-12-31T00:00:00Z",
        "tpm_limit": 200000,
    },
    "AccessKeyChanges": {"model_ids": [_MODEL], "budgets": {"day": "20"}},
    "Rotation": {"grace_s": 3600},
}

_LABELS: dict[str, Any] = {
    "NewCapability": {"name": "vision", "domain": "cv", "input_types": ["text", "image"], "output_types": ["text"]},
    "CapabilityChanges": {"display_name": "Vision"},
    "CapabilitySettings": {"config": {"max_images": 10}},
    "NewCapabilityAssociation": {"model_id": _MODEL, "capability_id": _CAPABILITY, "config": {"max_images": 10}},
    "NewCategory": {"name": "coding", "display_name": "Coding", "parent_id": _CATEGORY, "position": 0},
    "CategoryChanges": {"parent_id": None, "position": 2},
    "NewCategoryAssociation": {"model_id": _MODEL, "category_id": _CATEGORY},
    "NewTag": {"name": "new", "color": "#2e7d32", "rule": {"kind": "first_seen_within", "days": 30}},
    "TagChanges": {"rule": {"kind": "name_matches", "pattern": "*-mini"}},
    "PreviewWanted": {"rule": {"kind": "context_at_least", "tokens": 200000}},
}

_IDENTITY: dict[str, Any] = {
    "Login": {"name": "ada", "password": "correct horse battery staple"},
    "Refresh": {"refresh_token": "mbr_7Qm2vX0c"},
    "NewApiToken": {"name": "deploy", "role": "editor", "expires_at": "2027-06-30T00:00:00Z"},
    "NewUser": {"name": "ada", "display_name": "Ada", "role": "admin", "password": "correct horse battery staple"},
    "UserChanges": {"role": "editor"},
    "NewPassword": {
        "password": "another horse battery staple",
        "current_password": "correct horse battery staple",
    },
}

EXAMPLES: Mapping[str, Any] = {
    name: example
    for noun in (_SUPPLY, _MODELS, _PRICES, _ROUTING, _ACCESS, _LABELS, _IDENTITY)
    for name, example in noun.items()
}
"""By the name of the schema."""
