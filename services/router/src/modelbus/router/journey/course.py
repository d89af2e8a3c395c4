"""How a journey has gone so far, and whom it may lead to next."""

from collections.abc import Container
from dataclasses import dataclass, field

from modelbus.router.cache.routing import ANY_FAILURE
from modelbus.router.domain.verdicts import Cause
from modelbus.router.journey.failures import Failure, refusal_after
from modelbus.router.journey.reply import Reply
from modelbus.router.naming.meanings import Step
from modelbus.router.upstream.client import Deadlines

_MUST_BE_NAMED = frozenset({Cause.CONTEXT_LENGTH, Cause.CONTENT_FILTER})
"""Faults of the request that another model may not mind: only a step that names them says that it is for them."""
_OF_THE_MODEL = frozenset({Cause.CONTEXT_LENGTH, Cause.UNABLE})


@dataclass(slots=True)
class Course:
    """The state of one journey."""

    deadlines: Deadlines
    until: float
    """Loop time when all must be over."""
    is_resent: bool
    """Whether what may have been done may be asked of another."""
    failures: list[Failure] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    """Those that were begun."""

    def leads_to(self, step: Step) -> bool:
        """Tell whether a source of the step comes next; one that has begun goes on after any failure of a supplier."""
        is_begun = step in self.steps
        is_next = not self.failures or self._is_for((ANY_FAILURE,) if is_begun else step.triggers)
        if is_next and not is_begun:
            self.steps.append(step)
        return is_next

    def _is_for(self, triggers: Container[str]) -> bool:
        causes = {failure.cause for failure in self.failures}
        if named := causes & _MUST_BE_NAMED:
            causes = named
        elif ANY_FAILURE in triggers:
            return True
        return any(cause in triggers for cause in causes)

    def is_over(self, now: float) -> bool:
        """Tell whether nobody else may be asked, whoever is left."""
        last = self.failures[-1]
        return now >= self.until or last.cause is Cause.REQUEST or (last.may_have_run and not self.is_resent)

    def end(self) -> Reply:
        """Answer a supplier's complaint, if the request is at fault.

        Raises:
            Refusal: it is not.
        """
        last = self.failures[-1].complaint if self.failures else None
        is_the_requests = all(failure.complaint or failure.wrong for failure in self.failures)
        if last is not None and (is_the_requests or last.cause not in _OF_THE_MODEL):
            return last.reply
        raise refusal_after(self.failures)
