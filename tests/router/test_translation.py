"""Requests and answers of one protocol, said in the words of the other: golden cases, and what comes back unchanged."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.router.domain.errors import MalformedAnswerError, UntranslatableError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.answers import chat_usage, completion_of, message_of, message_usage
from modelbus.router.wire.chat_asked import messages_request
from modelbus.router.wire.messages_asked import chat_request
from modelbus.router.wire.usage import tokens_of

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": SCHEMA}}
TOOL = {"name": "weather", "description": "Tells it", "input_schema": SCHEMA}
PNG = "data:image/png;base64,iVBORw0KGgo="
PNG_SOURCE = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def call(id_: str, city: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": "weather", "arguments": json.dumps({"city": city})}}


def test_a_conversation_with_parallel_calls_is_said_in_anthropics_words() -> None:
    asked = {
        "model": "claude",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "Rome and Paris?"},
            {"role": "assistant", "content": "I look", "tool_calls": [call("a", "Rome"), call("b", "Paris")]},
            {"role": "tool", "tool_call_id": "a", "content": "sunny"},
            {"role": "tool", "tool_call_id": "b", "content": "rainy"},
            {"role": "developer", "content": "in French"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "and this?"}, {"type": "image_url", "image_url": {"url": PNG}}],
            },
        ],
        "tools": [FUNCTION],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_completion_tokens": 50,
        "temperature": 1.7,
        "stop": "END",
        "user": "u-1",
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": 7,
    }

    assert messages_request(asked, "claude-3") == {
        "model": "claude-3",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "be brief"}, {"type": "text", "text": "in French"}],
        "messages": [
            {"role": "user", "content": "Rome and Paris?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "I look"},
                    {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Rome"}},
                    {"type": "tool_use", "id": "b", "name": "weather", "input": {"city": "Paris"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a", "content": "sunny"},
                    {"type": "tool_result", "tool_use_id": "b", "content": "rainy"},
                    {"type": "text", "text": "and this?"},
                    {"type": "image", "source": PNG_SOURCE},
                ],
            },
        ],
        "tools": [TOOL],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "temperature": 1,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "stream": True,
    }


def test_a_conversation_with_parallel_results_is_said_in_openais_words() -> None:
    asked = {
        "model": "gpt",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "be brief"}, {"type": "text", "text": "in French"}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Rome?"}, {"type": "image", "source": PNG_SOURCE}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I look"},
                    {"type": "tool_use", "id": "a", "name": "weather", "input": {"city": "Rome"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "a",
                        "content": [{"type": "text", "text": "sunny"}, {"type": "image", "source": PNG_SOURCE}],
                    },
                    {"type": "text", "text": "so?"},
                ],
            },
        ],
        "tools": [TOOL],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
        "stop_sequences": ["END"],
        "top_k": 5,
        "metadata": {"user_id": "u-1"},
        "stream": True,
    }
    image = {"type": "image_url", "image_url": {"url": PNG}}

    assert chat_request(asked, "gpt-4o") == {
        "model": "gpt-4o",
        "max_tokens": 50,
        "messages": [
            {"role": "system", "content": "be brief\n\nin French"},
            {"role": "user", "content": [{"type": "text", "text": "Rome?"}, image]},
            {
                "role": "assistant",
                "content": "I look",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "sunny"},
            {"role": "user", "content": [image, {"type": "text", "text": "so?"}]},
        ],
        "tools": [FUNCTION],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
        "stop": ["END"],
        "user": "u-1",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("upstream_name", "field"),
    [
        ("gpt-4o", "max_tokens"),
        ("openai/o3-mini", "max_completion_tokens"),
        ("gpt-5-mini", "max_completion_tokens"),
        ("mistral-large", "max_tokens"),
    ],
)
def test_the_limit_is_named_as_the_model_knows_it(upstream_name: str, field: str) -> None:
    said = chat_request({"max_tokens": 9, "messages": []}, upstream_name)

    assert said[field] == 9


def test_a_limit_is_made_up_where_anthropic_needs_one() -> None:
    assert messages_request({"messages": []}, "claude")["max_tokens"] == 4096


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": 5}, "tools"),
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, "messages[0].tool_calls"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{}]}, "functions"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "custom"}]}, "tools[0]"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": "x"}, "messages"),
    ],
)
def test_what_anthropic_has_no_word_for_is_named(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(UntranslatableError) as refused:
        messages_request({"messages": [], **asked}, "claude")

    assert refused.value.param == param


@pytest.mark.parametrize(
    "nothing",
    [
        {"n": 1},
        {"logprobs": False},
        {"logit_bias": {}},
        {"modalities": ["text"]},
        {"response_format": {"type": "text"}},
        {"seed": 1, "presence_penalty": 0.5, "store": True, "reasoning_effort": "high", "x_unknown": 1},
        {"functions": None, "tools": None, "stop": None, "temperature": None},
    ],
)
def test_what_asks_for_nothing_and_what_is_only_a_wish_is_dropped(nothing: dict[str, Any]) -> None:
    assert messages_request({"messages": [], **nothing}, "claude") == messages_request({"messages": []}, "claude")


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": 5}, "tools"),
        ({"messages": 5}, "messages"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]}, "messages[0].content[0]"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}
                ]
            },
            "messages[0].content[0].source",
        ),
        ({"system": [{"type": "image"}]}, "system[0]"),
    ],
)
def test_what_openai_has_no_word_for_is_named(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(UntranslatableError) as refused:
        chat_request({"messages": [], **asked}, "gpt-4o")

    assert refused.value.param == param


texts = st.text(min_size=1, max_size=20)
names = st.text("abcdefgh_", min_size=1, max_size=8)
arguments = st.dictionaries(names, st.one_of(texts, st.integers(-9, 9), st.booleans(), st.none()), max_size=3)
parts = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, texts),
        st.just({"type": "image_url", "image_url": {"url": PNG}}),
        st.just({"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}),
    ),
    min_size=2,
    max_size=3,
)
users = st.builds(lambda content: {"role": "user", "content": content}, st.one_of(texts, parts))


@st.composite
def turns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A question, what the assistant says or calls, and the results of what it called."""
    made = [draw(users)]
    given = draw(st.lists(arguments, max_size=3))
    calls = [
        {
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": draw(names), "arguments": msgspec.json.encode(one).decode()},
        }
        for n, one in enumerate(given)
    ]
    said: dict[str, Any] = {"role": "assistant", "content": draw(texts if not calls else st.one_of(st.none(), texts))}
    made.append(said | ({"tool_calls": calls} if calls else {}))
    made += [{"role": "tool", "tool_call_id": one["id"], "content": draw(texts)} for one in calls]
    return made


requests = st.fixed_dictionaries(
    {"messages": st.builds(lambda *all_turns: [one for each in all_turns for one in each], turns(), turns())},
    optional={
        "max_tokens": st.integers(1, 9999),
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stop": st.lists(texts, min_size=1, max_size=4),
        "user": texts,
        "tools": st.just([FUNCTION]),
        "response_format": st.just(
            {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
        ),
    },
)


@given(asked=requests, system=st.one_of(st.none(), texts))
def test_a_request_that_both_protocols_can_say_comes_back_unchanged(asked: dict[str, Any], system: str | None) -> None:
    opening = [] if system is None else [{"role": "system", "content": system}]
    asked = asked | {"model": "m", "messages": opening + asked["messages"], "max_tokens": asked.get("max_tokens", 4096)}

    assert chat_request(messages_request(asked, "m"), "m") == asked


counts = st.one_of(st.none(), st.integers(0, 10**6))
tokens = st.builds(
    Tokens,
    input=st.integers(0, 10**6),
    cached_input=st.integers(0, 10**6),
    output=st.integers(0, 10**6),
    reasoning=counts,
    cache_write=st.integers(0, 10**6),
)


@given(told=tokens)
def test_usage_keeps_its_kinds_apart_in_the_words_of_both(told: Tokens) -> None:
    assert tokens_of(msgspec.json.encode(chat_usage(told))) == told
    assert tokens_of(msgspec.json.encode(message_usage(told))) == told


blocks = st.builds(
    lambda text, given: (
        ([{"type": "text", "text": text, "citations": None}] if text else [])
        + [{"type": "tool_use", "id": f"t{n}", "name": "f", "input": one} for n, one in enumerate(given)]
    ),
    st.one_of(st.none(), texts),
    st.lists(arguments, max_size=3),
)


@given(content=blocks, told=tokens, reason=st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal"]))
def test_an_answer_comes_back_unchanged(content: list[dict[str, Any]], told: Tokens, reason: str) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": message_usage(told),
    }

    completion, counted, _ = completion_of(msgspec.json.encode(message))
    back, counted_again, _ = message_of(completion)

    assert json.loads(back) == message
    assert counted == counted_again == told


def test_the_parts_of_a_message_are_put_where_openai_has_them() -> None:
    message = {
        "id": "msg_1",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "one "},
            {"type": "text", "text": "two"},
        ],
        "stop_reason": "stop_sequence",
        "usage": {
            "input_tokens": 3,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 5,
            "output_tokens": 6,
        },
    }

    completion = json.loads(completion_of(msgspec.json.encode(message))[0])

    assert completion["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "one two", "refusal": None, "reasoning_content": "hm"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert completion["usage"] == {
        "prompt_tokens": 12,
        "completion_tokens": 6,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
    }


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"content":[],"stop_reason":null}', b'{"content":1}'])
def test_what_is_no_message_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        completion_of(body)


@pytest.mark.parametrize("written", ["{", "[]", "1"])
def test_a_call_whose_arguments_are_no_object_is_malformed(written: str) -> None:
    said = {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": written}}]}
    body = {"choices": [{"message": said, "finish_reason": "tool_calls"}]}

    with pytest.raises(MalformedAnswerError, match="called a tool"):
        message_of(msgspec.json.encode(body))
