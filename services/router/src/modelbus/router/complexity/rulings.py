"""A ruling says at which level a request is served, and what decided: its prompt, its conversation, or a judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from msgspec import Raw

from modelbus.router.complexity.classifier import THRESHOLDS, Verdict, classify
from modelbus.router.complexity.conversations import Conversations, Thread, thread_of
from modelbus.router.complexity.features import Prompt
from modelbus.router.complexity.prompts import read_prompt
from modelbus.router.domain.levels import harder

PROMPT, CONVERSATION, JUDGE = "prompt", "conversation", "judge"


@dataclass(frozen=True, slots=True)
class Question:
    """A request whose level is asked for."""

    fields: Mapping[str, Raw]
    holder: bytes
    """Whose conversations it may belong to."""
    conversation: str = ""
    """The name that the caller gives its conversation; empty where it gives none."""
    thresholds: Sequence[float] = THRESHOLDS
    is_sticky: bool = True


@dataclass(frozen=True, slots=True)
class Ruling:
    """The level of a request."""

    level: str
    by: str
    """`prompt`, `conversation` or `judge`: what decided."""
    verdict: Verdict
    """What the prompt by itself was found to be."""
    prompt: Prompt
    thread: Thread | None = None
    """Where it stands in its conversation, if that is to keep its level."""
    is_begun: bool = False
    """The level that its conversation has had so far is known."""

    def judged(self, level: str) -> "Ruling":
        """Answer the ruling of a judge."""
        return replace(self, level=level, by=JUDGE)


def rule(question: Question, conversations: Conversations, now: float) -> Ruling:
    """Rule by what is here: by the prompt, but never below what the conversation had.

    Of a conversation that is not remembered the first message is classified too, so that every router comes to the same
    level, and a restart changes none.
    """
    prompt = read_prompt(question.fields)
    verdict = classify(prompt, question.thresholds)
    if not question.is_sticky:
        return Ruling(verdict.level, PROMPT, verdict, prompt)
    thread = thread_of(question.fields, question.holder, question.conversation)
    had = conversations.level_of(thread, now) if thread else None
    is_begun = had is not None
    if had is None and prompt.opening:
        had = classify(Prompt(prompt.opening), question.thresholds).level
    level = harder(verdict.level, had)
    return Ruling(level, PROMPT if level == verdict.level else CONVERSATION, verdict, prompt, thread, is_begun)
