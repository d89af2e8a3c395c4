"""What is refused to who configures routing, or takes away what it refers to."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.errors import Refusal

NAMED = 3
"""That many findings are named in the sentence; all are in the list."""


class LastStepError(Refusal):
    """A chain keeps at least one step."""

    code = "last_step"

    def __init__(self, chain_id: UUID) -> None:
        super().__init__(
            f"this is the only step of chain {str(chain_id)!r}; delete the chain, or add another step first"
        )


class ChainFullError(Refusal):
    """A chain has as many steps as it can."""

    code = "chain_full"

    def __init__(self, most: int) -> None:
        super().__init__(f"a chain has at most {most} steps")
        self.errors = [{"field": "steps", "message": f"must be at most {most}"}]


class OnlyStaleStepsError(Refusal):
    """None of the wanted steps could serve."""

    code = "only_stale_steps"

    def __init__(self) -> None:
        super().__init__(
            "steps: none of these could serve right now; name one that is available, or repeat it with ?force=true"
        )
        self.errors = [{"field": "steps", "message": "must hold at least one step whose target is available"}]


class NoWeightError(Refusal):
    """A strategy that weighs nothing chooses nothing."""

    code = "no_weight"

    def __init__(self) -> None:
        super().__init__("cost_weight, latency_weight, success_weight, quality_weight: at least one must be above 0")
        self.errors = [{"field": "cost_weight", "message": "must be above 0 where all other weights are 0"}]


class WeightlessSplitError(Refusal):
    """A split of which no arm has a weight draws none."""

    code = "weightless_split"

    def __init__(self) -> None:
        super().__init__("arms: at least one must have a weight above 0")
        self.errors = [{"field": "arms.0.weight", "message": "must be above 0 where all other weights are 0"}]


class VariantTwiceError(Refusal):
    """Usage could not tell two variants of one name apart."""

    code = "variant_twice"

    def __init__(self, path: str, name: str) -> None:
        super().__init__(f"{path}.name: another arm or shadow of the split is called {name!r}")
        self.errors = [{"field": f"{path}.name", "message": "must be unique among the split's arms and shadows"}]


class StillReferencedError(Refusal):
    """What would go is referred to, and the reference would break."""

    code = "still_referenced"

    def __init__(self, findings: Sequence[dict[str, Any]]) -> None:
        named = "; ".join(str(finding["message"]) for finding in findings[:NAMED])
        more = f"; and {len(findings) - NAMED} more" if len(findings) > NAMED else ""
        remedy = "repeat it with ?replace_with=<id> to rewrite the references, or with ?force=true to leave them stale"
        super().__init__(f"this would break {named}{more}; {remedy}")
        self.findings = list(findings)


class WrongReplacementError(Refusal):
    """What is to take the place of something that goes can't."""

    code = "wrong_replacement"

    def __init__(self, target: UUID, message: str) -> None:
        super().__init__(f"replace_with: {str(target)!r} {message}")
        self.errors = [{"field": "query.replace_with", "message": message}]
