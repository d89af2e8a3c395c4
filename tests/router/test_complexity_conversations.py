from typing import Any
from uuid import uuid4

import msgspec
import pytest
from msgspec import Raw

from modelbus.router.complexity.conversations import Conversations, Thread, holder_of, thread_of
from modelbus.router.complexity.features import Prompt
from modelbus.router.complexity.prompts import read_prompt
from modelbus.router.complexity.rulings import CONVERSATION, PROMPT, Question, Ruling, rule

HOLDER = holder_of(uuid4(), uuid4())
HARD = (
    "Prove that every finite integral domain is a field, then derive Wedderburn's theorem with all lemmas, compare two "
    "proofs, explain which assumptions are needed, and give a counterexample where one of them is dropped."
)


def fields_of(**fields: Any) -> dict[str, Raw]:
    return {name: Raw(msgspec.json.encode(value)) for name, value in fields.items()}


def said(*texts: str) -> dict[str, Raw]:
    """A conversation in which user and assistant take turns."""
    roles = ("user", "assistant")
    return fields_of(messages=[{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)])


def thread(fields: dict[str, Raw], holder: bytes = HOLDER, name: str = "") -> Thread:
    found = thread_of(fields, holder, name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        (said("hi"), Prompt("hi")),
        (said("hi", "hello", "bye"), Prompt("bye", "hi", 2)),
        (
            fields_of(
                messages=[
                    {"role": "system", "content": "be brief"},
                    {"role": "user", "content": [{"type": "text", "text": "what"}, {"type": "text", "text": "is"}]},
                ],
                tools=[{"type": "function"}, {"type": "function"}],
            ),
            Prompt("what\nis", tools=2),
        ),
        (
            fields_of(
                system="be brief",
                messages=[
                    {"role": "user", "content": [{"type": "image", "source": {}}, {"type": "text", "text": "look"}]},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "long"}]},
                ],
            ),
            Prompt("look", attached=1),
        ),
        (fields_of(input="hi"), Prompt("hi")),
        (fields_of(input=[{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]), Prompt("hi")),
        (
            fields_of(input=[{"type": "function_call_output", "output": "x"}, {"role": "user", "content": "go"}]),
            Prompt("go"),
        ),
        (fields_of(prompt=["one", "two"], tools=None), Prompt("one\ntwo")),
        (fields_of(messages=[{"role": "user", "content": 7}]), Prompt('[{"role":"user","content":7}]')),
        ({}, Prompt("")),
    ],
)
def test_the_prompt_is_what_the_user_said_last(fields: dict[str, Raw], prompt: Prompt) -> None:
    assert read_prompt(fields) == prompt


def test_a_request_goes_on_where_the_one_before_ended() -> None:
    first, second, third = thread(said("a")), thread(said("a", "b", "c")), thread(said("a", "b", "c", "d", "e"))

    assert first.before is None
    assert (second.before, third.before) == (first.now, second.now)


def test_long_messages_are_told_apart_by_their_ends_and_length() -> None:
    long = "a" * 100_000
    first, second = thread(said(long)), thread(said(long, "b", "c"))

    assert second.before == first.now
    assert len({thread(said(each)).now for each in (long, long + "a", "b" + long[1:], long[1:] + "b")}) == 4


def test_calls_of_tools_go_on_with_the_same_conversation() -> None:
    asked = [{"role": "user", "content": "weather?"}]
    answered = [
        *asked,
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "2"}]},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
    ]
    items = [{"type": "reasoning", "summary": []}, {"type": "function_call", "call_id": "1"}]
    given = [*asked, *items, {"type": "function_call_output", "call_id": "1"}]

    assert thread(fields_of(messages=answered)).before == thread(fields_of(messages=asked)).now
    assert thread(fields_of(input=given)).before == thread(fields_of(input=asked)).now


def test_conversations_that_begin_alike_part_with_their_first_answer() -> None:
    one, other = thread(said("hi", "hello", "a", "x", "b")), thread(said("hi", "good day", "a", "x", "b"))

    assert one.before != other.before


def test_instructions_that_hold_the_time_change_nothing() -> None:
    def at(time: str) -> dict[str, Raw]:
        return fields_of(messages=[{"role": "system", "content": time}, {"role": "user", "content": "hi"}])

    assert thread(at("12:00")) == thread(at("12:01"))


def test_a_conversation_with_a_name_is_known_by_it_alone() -> None:
    by_header = {thread(said(text), name="c1") for text in ("a", "b")}
    by_field = {thread(fields_of(input=text, conversation={"id": "c1"})) for text in ("a", "b")}

    assert (len(by_header), len(by_field)) == (1, 1)
    assert thread(said("a") | fields_of(conversation=None)) == thread(said("a"))
    assert thread(said("a"), name="c2") not in by_header


def test_callers_do_not_share_conversations() -> None:
    assert thread(said("a"), name="c1") != thread(said("a"), holder_of(uuid4(), uuid4()), name="c1")


@pytest.mark.parametrize("fields", [{}, fields_of(prompt="a"), fields_of(input="a"), fields_of(messages=[1])])
def test_what_tells_no_history_belongs_to_no_conversation(fields: dict[str, Raw]) -> None:
    assert thread_of(fields, HOLDER) is None


def test_levels_are_forgotten_after_a_while_and_the_oldest_when_there_are_too_many() -> None:
    conversations = Conversations(most=2, kept_s=10)
    threads = [thread(said("a"), name=name) for name in "abc"]
    for each in threads[:2]:
        conversations.keep(each, "hard", now=0)
    conversations.keep(threads[0], "expert", now=1)
    conversations.keep(threads[2], "easy", now=2)

    assert [conversations.level_of(each, now=3) for each in threads] == ["expert", None, "easy"]
    assert [conversations.level_of(each, now=11.5) for each in threads] == [None, None, "easy"]
    assert len(conversations) == 2


def ruled(conversations: Conversations, fields: dict[str, Raw], *, is_sticky: bool = True) -> Ruling:
    ruling = rule(Question(fields, HOLDER, is_sticky=is_sticky), conversations, 0)
    if ruling.thread:
        conversations.keep(ruling.thread, ruling.level, 0)
    return ruling


def test_a_conversation_never_gets_an_easier_level_and_gets_a_harder_one_with_a_harder_prompt() -> None:
    conversations = Conversations()

    rulings = [
        ruled(conversations, said("hi")),
        ruled(conversations, said("hi", "hello", HARD)),
        ruled(conversations, said("hi", "hello", HARD, "so", "thanks")),
        ruled(conversations, said("hi", "hello", HARD, "so", "thanks", "sure", "ok")),
    ]

    assert [(one.level, one.by) for one in rulings] == [
        ("trivial", PROMPT),
        ("expert", PROMPT),
        ("expert", CONVERSATION),
        ("expert", CONVERSATION),
    ]
    assert rulings[-1].verdict.level in {"trivial", "easy"}


def test_a_router_that_does_not_know_the_conversation_goes_by_its_beginning() -> None:
    ruling = ruled(Conversations(), said(HARD, "so", "thanks"))

    assert (ruling.level, ruling.by, ruling.is_begun) == ("expert", CONVERSATION, False)


def test_where_levels_do_not_stick_each_prompt_counts_by_itself() -> None:
    conversations = Conversations()
    ruled(conversations, said(HARD), is_sticky=False)

    ruling = ruled(conversations, said(HARD, "so", "thanks"), is_sticky=False)

    assert (ruling.level, ruling.by, len(conversations)) == ("trivial", PROMPT, 0)
