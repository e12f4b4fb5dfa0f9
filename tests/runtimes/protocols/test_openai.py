"""OpenAI's shapes: what models answer, wrapped; and OpenAI's own client against a real front."""

import json
import struct
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headrace.contract.errors import InputError
from headrace.runtimes.protocols import openai
from headrace.runtimes.protocols.openai import Abilities

SAID: dict[str, Any] = {"identity": "chatcmpl-1", "created": 5, "model": "m"}


def test_an_answer_in_openais_shape_is_kept_and_completed() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    told = openai.chat({"choices": [choice], "model": None}, **SAID)

    assert told == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 5,
        "model": "m",
        "choices": [choice],
    }


@pytest.mark.parametrize("answer", ["hi", ["hi"], {"messages": [{"role": "assistant", "content": "hi"}]}])
def test_texts_and_messages_become_a_chat_completion(answer: Any) -> None:
    told = openai.chat(answer, **SAID)

    assert told["choices"][0]["message"] == {"role": "assistant", "content": "hi"}
    assert told["choices"][0]["finish_reason"] == "stop"


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def test_a_chat_agents_tool_calls_and_usage_are_kept() -> None:
    last = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    told = openai.chat({"messages": [{"role": "assistant", "content": "x"}, last], "usage": USAGE}, **SAID)

    assert told["choices"][0]["message"] == last
    assert told["choices"][0]["finish_reason"] == "tool_calls"
    assert told["usage"] == USAGE


def test_a_chat_agents_pieces_keep_tool_calls_and_why_they_ended() -> None:
    [called] = openai.chat_piece({"delta": {"role": "assistant", "tool_calls": [CALL]}}, **SAID)["choices"]
    [ended] = openai.chat_piece({"delta": {"content": "x"}, "finish_reason": "length"}, **SAID)["choices"]

    assert called["delta"]["tool_calls"] == [{"index": 0, **CALL}]
    assert (called["finish_reason"], ended["finish_reason"]) == ("tool_calls", "length")


@pytest.mark.parametrize("piece", ["hi", {"delta": {"content": "hi"}}])
def test_pieces_become_deltas(piece: Any) -> None:
    told = openai.chat_piece(piece, **SAID)

    assert told["object"] == "chat.completion.chunk"
    assert told["choices"][0]["delta"]["content"] == "hi"


def test_completions_are_one_choice_a_text() -> None:
    assert [choice["text"] for choice in openai.completion(["a", "b"], **SAID)["choices"]] == ["a", "b"]


@pytest.mark.parametrize(
    "answer", [[[1.0, 2.0]], {"data": [{"embedding": [1.0, 2.0]}]}, [{"data": [{"embedding": [1.0, 2.0]}]}]]
)
def test_embeddings_in_both_encodings(answer: Any) -> None:
    plain = openai.embeddings(answer, model="m", encoding="float")
    packed = openai.embeddings(answer, model="m", encoding="base64")

    assert plain["data"][0]["embedding"] == [1.0, 2.0]
    assert struct.unpack("<2f", b64decode(packed["data"][0]["embedding"])) == (1.0, 2.0)


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(InputError, match="encoding_format must be float or base64"):
        openai.embeddings([[1.0]], model="m", encoding="hex")
    with pytest.raises(InputError, match="'messages' must be a list"):
        openai.require({"messages": []}, "messages", (list,))


def test_a_classifier_speaks_none_of_it() -> None:
    able = Abilities.of({"task": "", "loader": "mlflow.sklearn", "flavors": ["sklearn"]})

    assert able == Abilities(chat=False, completions=False, embeddings=False, encodes=False)


CHAT = """
import time
from mlflow.pyfunc import ChatModel
from mlflow.types.llm import ChatChoice, ChatCompletionChunk, ChatCompletionResponse, ChatChunkChoice, ChatChoiceDelta
from mlflow.types.llm import ChatMessage

served = 0

class Model(ChatModel):
    def predict(self, context, messages, params):
        text = messages[-1].content
        if text == "raise":
            raise ValueError("canary-4111")
        if text == "count":
            text = str(served)
        message = ChatMessage(role="assistant", content=f"you said {text}")
        return ChatCompletionResponse(choices=[ChatChoice(index=0, message=message)])

    def predict_stream(self, context, messages, params):
        global served
        text = messages[-1].content
        if text == "raise":
            raise ValueError("canary-4111")
        for word in text.split():
            if word == "break":
                raise ValueError("canary-4111")
            if word == "slow":
                time.sleep(0.2)
            served += 1
            delta = ChatChoiceDelta(role="assistant", content=word + " ")
            yield ChatCompletionChunk(choices=[ChatChunkChoice(index=0, delta=delta)])
"""


@pytest.fixture(scope="module")
def chat_front(start_front: Any, python_model: Callable[..., Path]) -> Iterator[Any]:
    with start_front(python_model(CHAT)) as front:
        yield front


@pytest.fixture
def client(chat_front: Any) -> Iterator[Any]:
    library = pytest.importorskip("openai")
    with library.OpenAI(base_url=chat_front.url + "/v1", api_key="none", max_retries=0) as made:
        yield made


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.slow
def test_openais_client_chats(client: Any) -> None:
    answer = client.chat.completions.create(model="model", messages=said("hello"))

    assert answer.choices[0].message.content == "you said hello"
    assert answer.object == "chat.completion"
    assert answer._request_id
    assert [model.id for model in client.models.list()] == ["model"]
    assert client.models.retrieve("model").id == "model"


@pytest.mark.slow
def test_openais_client_streams(client: Any) -> None:
    pieces = list(client.chat.completions.create(model="model", messages=said("one two three"), stream=True))

    assert "".join(piece.choices[0].delta.content for piece in pieces) == "one two three "
    assert len({piece.id for piece in pieces}) == 1


@pytest.mark.slow
def test_pieces_arrive_as_they_are_made(client: Any) -> None:
    started = time.monotonic()
    times = [
        time.monotonic() - started
        for _ in client.chat.completions.create(model="model", messages=said("first slow slow slow slow"), stream=True)
    ]

    assert times[-1] - times[0] > 0.5


@pytest.mark.slow
def test_openais_client_reads_refusals(client: Any, chat_front: Any) -> None:
    import openai as library  # noqa: PLC0415 -- optional

    with pytest.raises(library.BadRequestError) as raised:
        client.chat.completions.create(model="model", messages=said("raise"))
    assert "canary" not in str(raised.value)
    with pytest.raises(library.BadRequestError):
        client.chat.completions.create(model="model", messages=said("raise"), stream=True)
    with pytest.raises(library.NotFoundError):
        client.models.retrieve("other")
    with pytest.raises(library.NotFoundError, match="does not speak this protocol"):
        client.embeddings.create(model="model", input="x")
    with pytest.raises(library.APIError) as broken:
        list(client.chat.completions.create(model="model", messages=said("one break"), stream=True))
    assert "canary" not in str(broken.value)


@pytest.mark.slow
def test_invocations_stream_as_mlflows_client_reads_them(chat_front: Any) -> None:
    body = {"messages": said("one two"), "stream": True}
    with httpx.stream("POST", chat_front.url + "/invocations", json=body) as response:
        lines = [line for line in response.iter_lines() if line]

    assert response.headers["content-type"] == "text/event-stream"
    assert lines[-1] == "data: [DONE]"
    assert [json.loads(line[6:])["choices"][0]["delta"]["content"] for line in lines[:-1]] == ["one ", "two "]


@pytest.mark.slow
def test_invocations_without_stream_answer_whole(chat_front: Any) -> None:
    answer = chat_front.post(json.dumps({"messages": said("hello")})).json()

    assert answer["choices"][0]["message"]["content"] == "you said hello"


@pytest.mark.slow
def test_a_listener_that_leaves_stops_the_model(chat_front: Any) -> None:
    body = {"messages": said("slow " * 60), "stream": True}
    with httpx.stream("POST", chat_front.url + "/invocations", json=body) as response:
        next(response.iter_lines())
    deadline = time.monotonic() + 6
    while chat_front.metric("headrace_requests_executing") > 0:
        assert time.monotonic() < deadline, "the model goes on for nobody"
        time.sleep(0.05)
