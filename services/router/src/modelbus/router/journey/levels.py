"""The levels of requests whose models depend on it: found here, kept for conversations, and asked of a judge."""

from collections.abc import Callable
from time import monotonic

from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.routing import Classifier, Complexity
from modelbus.router.complexity.classifier import THRESHOLDS
from modelbus.router.complexity.conversations import Conversations, holder_of
from modelbus.router.complexity.rulings import Question, Ruling, rule
from modelbus.router.journey.ask import Ask
from modelbus.router.journey.judge import Carry, Judge
from modelbus.router.journey.trip import Trip
from modelbus.router.ledger.entries import RequestEntry

_USUAL = Classifier(THRESHOLDS, is_sticky=True)
_USUAL_JUDGEMENT_MS = 2000


class Levels:
    """Finds levels, and remembers those of conversations."""

    def __init__(self, record: Callable[[RequestEntry], None]) -> None:
        self._conversations = Conversations()
        self._judge = Judge(record)

    def foresee(self, ask: Ask, caller: AccessKey, complexity: Complexity) -> Ruling:
        """Rule without asking or remembering anything."""
        classifier = complexity.classifier or _USUAL
        question = Question(
            ask.fields,
            holder_of(caller.id, complexity.id),
            ask.conversation,
            classifier.thresholds,
            classifier.is_sticky,
        )
        return rule(question, self._conversations, monotonic())

    async def rule(self, trip: Trip, complexity: Complexity, carry: Carry) -> Ruling:
        """Rule, and remember; a judge is asked about the beginning of a conversation, and `carry` brings it there."""
        classifier = complexity.classifier or _USUAL
        ruling = self.foresee(trip.ask, trip.caller, complexity)
        if trip.ask.endpoint.is_counting:
            return ruling
        if classifier.judge_model_id is not None and not ruling.is_begun:
            within_s = (classifier.judge_timeout_ms or _USUAL_JUDGEMENT_MS) / 1000
            level = await self._judge.ask(trip, ruling.prompt, classifier.judge_model_id, within_s, carry)
            ruling = ruling if level is None else ruling.judged(level)
        if ruling.thread:
            self._conversations.keep(ruling.thread, ruling.level, monotonic())
        return ruling
