"""Streams, put together."""

import json
from typing import Any

from headrace.runtimes.records import streams


def sent(*events: Any) -> bytes:
    return b"".join(b"data: %s\n\n" % (one if isinstance(one, bytes) else json.dumps(one).encode()) for one in events)


def chunk(delta: Any, **more: Any) -> dict[str, Any]:
    made = {"index": 0, "delta": delta, "finish_reason": None, **more}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [made]}


def test_chunks_of_a_chat_become_the_answer_that_would_have_come_whole() -> None:
    usage = {"id": "c1", "object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 3}}
    data = sent(
        chunk({"role": "assistant", "content": "Hel"}), chunk({"content": "lo"}), chunk({}, finish_reason="stop")
    )

    assert json.loads(streams.whole(data + sent(usage, b"[DONE]"))) == {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "usage": {"prompt_tokens": 3},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    }


def test_calls_of_tools_are_put_together_by_their_index() -> None:
    first = {"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    data = sent(
        chunk({"role": "assistant", "tool_calls": [first]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}, {"index": 10**9}]}),
    )
    [choice] = json.loads(streams.whole(data))["choices"]

    [call] = choice["message"]["tool_calls"]
    assert call == {"id": "t", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def test_other_events_are_a_list_and_what_is_no_json_stays_a_text() -> None:
    assert json.loads(streams.whole(sent({"a": 1}, b"plain", b"[DONE]"))) == [{"a": 1}, "plain"]
    assert json.loads(streams.whole(b": comment\n\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\n")) == ["1\n2"]


def test_tokens_are_read_in_both_of_openais_words() -> None:
    assert streams.usage({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}) == (3, 4)
    assert streams.usage({"usage": {"input_tokens": 3, "output_tokens": None}}) == (3, None)
    assert streams.usage({"usage": [1]}) == (None, None)
    assert streams.usage([]) == (None, None)
