"""OpenAI's Responses: a ResponsesAgent behind a real front, asked by OpenAI's client, beside MLflow's agent server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headrace.contract.errors import InputError
from headrace.runtimes.protocols import openai
from headrace.runtimes.protocols.openai import Abilities

AGENT = """
from mlflow.pyfunc import ResponsesAgent
from mlflow.types.responses import ResponsesAgentResponse, ResponsesAgentStreamEvent

class Model(ResponsesAgent):
    def predict(self, request):
        done = [event.item for event in self.predict_stream(request) if event.type == "response.output_item.done"]
        return ResponsesAgentResponse(output=done, custom_outputs=request.custom_inputs)

    def predict_stream(self, request):
        text = request.input[-1].content
        if text == "raise":
            raise ValueError("canary-4111")
        for word in text.split():
            if word == "break":
                raise ValueError("canary-4111")
            yield ResponsesAgentStreamEvent(**self.create_text_delta(delta=word + " ", item_id="msg_1"))
        item = self.create_text_output_item(text="you said " + text, id="msg_1")
        yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)
"""
MADE_BY_FRONT = {"id", "created_at", "model", "status"}
"""Fields that OpenAI's clients require; this agent leaves them to the server."""


def test_a_text_is_one_message_and_a_list_is_kept() -> None:
    message = {"role": "user", "content": "hi"}

    assert openai.response_request({"input": "hi", "model": "m"}) == {"input": [message], "model": "m"}
    assert openai.response_request({"input": [message]}) == {"input": [message]}
    for wrong in ({}, {"input": ""}, {"input": []}, {"input": 5}, []):
        with pytest.raises(InputError, match="'input' must be a text or a list and not be empty"):
            openai.response_request(wrong)  # type: ignore[arg-type]


def test_what_an_agent_says_itself_is_kept() -> None:
    told = openai.response({"id": "mine", "output": [], "model": None}, identity="resp_1", created=5, model="m")

    assert told == {
        "id": "mine",
        "object": "response",
        "created_at": 5,
        "model": "m",
        "status": "completed",
        "output": [],
    }


@pytest.mark.parametrize(
    "described", [{"task": "agent/v1/responses"}, {"loader": "mlflow.pyfunc.loaders.responses_agent"}]
)
def test_an_agent_is_known_by_its_task_or_its_loader(described: dict[str, str]) -> None:
    assert Abilities.of(described) == Abilities(
        chat=False, completions=False, embeddings=False, encodes=False, responses=True
    )


@pytest.fixture(scope="module")
def agent_front(start_front: Any, python_model: Callable[..., Path]) -> Iterator[Any]:
    with start_front(python_model(AGENT)) as front:
        yield front


@pytest.fixture
def client(agent_front: Any) -> Iterator[Any]:
    library = pytest.importorskip("openai")
    with library.OpenAI(base_url=agent_front.url + "/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def agent_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """MLflow's own, with the same agent, in this process."""
    import mlflow  # noqa: PLC0415 -- takes seconds
    from mlflow.genai.agent_server import server  # noqa: PLC0415
    from starlette.testclient import TestClient  # noqa: PLC0415

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    scope: dict[str, Any] = {}
    exec(AGENT, scope)
    agent = scope["Model"]()
    monkeypatch.setattr(server, "_invoke_function", agent.predict)
    monkeypatch.setattr(server, "_stream_function", agent.predict_stream)
    mlflow.tracing.disable()  # spans would look for a tracking server
    yield TestClient(server.AgentServer("ResponsesAgent").app)
    mlflow.tracing.enable()


@pytest.mark.slow
@pytest.mark.parametrize("said", ["hello", [{"role": "user", "content": "hello"}]], ids=["text", "messages"])
def test_openais_client_gets_a_response(client: Any, said: Any) -> None:
    answer = client.responses.create(model="model", input=said)

    assert answer.output_text == "you said hello"
    assert (answer.object, answer.status, answer.model) == ("response", "completed", "model")
    assert answer.id.startswith("resp_")
    assert answer._request_id


@pytest.mark.slow
def test_openais_client_streams(client: Any) -> None:
    pieces = list(client.responses.create(model="model", input="one two three", stream=True))

    assert [piece.type for piece in pieces] == ["response.output_text.delta"] * 3 + ["response.output_item.done"]
    assert "".join(piece.delta for piece in pieces[:3]) == "one two three "
    assert pieces[-1].item.content[0].text == "you said one two three"


@pytest.mark.slow
def test_refusals_are_openais(client: Any) -> None:
    import openai as library  # noqa: PLC0415 -- optional

    with pytest.raises(library.BadRequestError) as raised:
        client.responses.create(model="model", input="raise")
    assert "canary" not in str(raised.value)
    with pytest.raises(library.BadRequestError, match="'input' must be a text or a list and not be empty"):
        client.responses.create(model="model", input="")
    with pytest.raises(library.BadRequestError):
        client.responses.create(model="model", input=[{"role": "user"}])
    with pytest.raises(library.NotFoundError, match="does not speak this protocol"):
        client.chat.completions.create(model="model", messages=[{"role": "user", "content": "hello"}])
    with pytest.raises(library.APIError) as broken:
        list(client.responses.create(model="model", input="one break", stream=True))
    assert "canary" not in str(broken.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{}, {"custom_inputs": {"a": [1]}}, {"temperature": 0.5, "user": "me"}], ids=["plain", "custom", "others"]
)
def test_answers_are_those_of_mlflows_agent_server(agent_front: Any, agent_server: Any, more: dict[str, Any]) -> None:
    request = {"input": [{"role": "user", "content": "one two"}], **more}
    ours = httpx.post(agent_front.url + "/v1/responses", json=request).json()
    theirs = agent_server.post("/responses", json=request).json()

    assert {key: value for key, value in ours.items() if key not in MADE_BY_FRONT} == {
        key: value for key, value in theirs.items() if key not in MADE_BY_FRONT
    }
    assert theirs["output"][0]["content"][0]["text"] == "you said one two"


@pytest.mark.slow
def test_events_are_those_of_mlflows_agent_server(agent_front: Any, agent_server: Any) -> None:
    request = {"input": [{"role": "user", "content": "one two"}], "stream": True}
    ours = httpx.post(agent_front.url + "/v1/responses", json=request)
    theirs = agent_server.post("/responses", json=request)

    def events(text: str) -> list[Any]:
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
        assert lines.pop() == "[DONE]"
        return [json.loads(line) for line in lines]

    assert ours.headers["content-type"].startswith("text/event-stream")
    assert events(ours.text) == events(theirs.text)
    assert len(events(theirs.text)) == 3
