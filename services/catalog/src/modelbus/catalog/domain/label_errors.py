"""What is refused to who changes capabilities, categories and tags, or what they are given to."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.errors import Refusal

NAMED = 3
"""That many findings are named in the sentence."""


class LabelInUseError(Refusal):
    """What is to be deleted is in use."""

    code = "label_in_use"

    def __init__(self, noun: str, findings: Sequence[dict[str, Any]], total: int, remedy: str) -> None:
        named = ", ".join(str(finding["message"]) for finding in findings[:NAMED])
        more = f" and {total - NAMED} more" if total > NAMED else ""
        super().__init__(f"the {noun} is in use: {named}{more}; {remedy}")
        self.findings = list(findings)


class CategoryCycleError(Refusal):
    """A category would be below itself."""

    code = "category_cycle"

    def __init__(self, category_id: UUID, parent_id: UUID) -> None:
        super().__init__(f"parent_id: {str(parent_id)!r} is category {str(category_id)!r} itself, or is below it")
        self.errors = [{"field": "parent_id", "message": "must be a category that is not below this one"}]


class NotTaggedError(Refusal):
    """There is no decision about a tag of a model to take back."""

    code = "not_tagged"

    def __init__(self, model: str, tag: str) -> None:
        super().__init__(f"nobody has given tag {tag!r} to model {model!r}, or taken it away, by hand")


class AccessKeyRefusedError(Refusal):
    """What was shown is no access key that opens anything now."""

    code = "unauthorized"

    def __init__(self) -> None:
        super().__init__("this path needs a valid access key, as 'Authorization: Bearer <key>' or as 'X-Access-Key'")
        self.headers = {"WWW-Authenticate": "Bearer"}


class WhoseSelectorError(Refusal):
    """An administrator has not said whose models are to be shown."""

    code = "invalid_input"

    def __init__(self) -> None:
        super().__init__("access_key_id: an administrator names the access key whose models are to be shown")
        self.errors = [{"field": "query.access_key_id", "message": "must be the id of an access key"}]


class ScopeNotPermittedError(Refusal):
    """The access key may not name that scope, or there is none in service."""

    code = "scope_not_permitted"

    def __init__(self, scope: str) -> None:
        super().__init__(f"scope: the access key may name no scope {scope!r}")
        self.errors = [{"field": "query.scope", "message": "must be the name of a scope that the key may name"}]
