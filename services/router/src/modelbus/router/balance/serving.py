"""Whether a name can be called now at all, whatever the request will be: what lists of models are made of."""

from modelbus.router.balance.menu import sources_of, why_not
from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import ModelNotPermittedError, ModelUnavailableError
from modelbus.router.domain.levels import LEVELS
from modelbus.router.naming.meanings import Meaning, Step, at_level


def is_served(table: Table, meaning: Meaning, caller: AccessKey) -> bool:
    """Tell whether this key could call it now."""
    return any(_is_permitted(table, step, caller) and not _why_unserved(table, step) for step in _steps(meaning))


def demand_served(table: Table, meaning: Meaning, caller: AccessKey) -> None:
    """Let pass what the key could call now.

    Raises:
        ModelNotPermittedError: the key allows nothing of it.
        ModelUnavailableError: nothing of it can serve now; the text says why.
    """
    if is_served(table, meaning, caller):
        return
    permitted = [step for step in _steps(meaning) if _is_permitted(table, step, caller)]
    if not permitted and _steps(meaning):
        raise ModelNotPermittedError(meaning.name)
    reasons = dict.fromkeys(_why_unserved(table, step) for step in permitted)
    raise ModelUnavailableError(meaning.name, "; ".join(reasons) or "it has no steps")


def _steps(meaning: Meaning) -> tuple[Step, ...]:
    return meaning.steps if meaning.complexity is None else at_level(meaning, LEVELS[0]).steps


def _is_permitted(table: Table, step: Step, caller: AccessKey) -> bool:
    model = table.models.get(step.model_id)
    return model is not None and caller.permits(model)


def _why_unserved(table: Table, step: Step) -> str:
    """Say why nothing serves the step; empty if something does."""
    model = table.models.get(step.model_id)
    if model is None:
        return "deleted"
    if not model.is_available:
        return model.reason or "not available"
    reasons = [why_not(table, source, step.protocol) for source in sources_of(table, step)]
    return "" if None in reasons else ", ".join(dict.fromkeys(filter(None, reasons))) or "it has no source"
