"""A pod proves its model before the first caller: what is asked, what is compared, and what it tells of that."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import eventually

from headrace.contract.codec import decode
from headrace.contract.declaration import Style
from headrace.contract.errors import InputError
from headrace.contract.evidence import INFERENCE_REQUEST_PATH, PROOF_PATH, Proof
from headrace.runtimes.http.protocol_proof import GRPC, INVOCATIONS, REST, ProtocolProof
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure, Reason
from tests.runtimes.http import in_process

ALL = (INVOCATIONS, REST, GRPC)
TABLE = b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, 2.0]]}}'
SIGNATURE = {
    "inputs": '[{"type": "double", "name": "a", "required": true}, {"type": "double", "name": "b", "required": true}]'
}
COUNTING = """
class Model(PythonModel):
    def predict(self, context, model_input, params=None):
        with open({calls!r}, "a") as file:
            file.write("called\\n")
        {body}
"""


def proof_of(front: Any) -> Proof:
    """What the pod tells on its admin port."""
    return decode(Proof, httpx.get(front.admin_url + PROOF_PATH).json(), Style.KUBERNETES)


def described(**more: Any) -> dict[str, Any]:
    """What a worker says of a model with an example."""
    call = {"milliseconds": 1.0, "cpu_milliseconds": 1.0, "memory_mib": None}
    return {"mlflow_version": "3", "streams": False, "signature": SIGNATURE, "first_call": call, **more}


@pytest.fixture
def looked(tmp_path: Path) -> Callable[..., Proof]:
    """The proof of a pod whose worker gives these outcomes, one for each request that reaches it."""

    def look(*outcomes: Any, body: bytes = TABLE, answer: bytes = b'{"predictions": [3.5]}', **model: Any) -> Proof:
        def play() -> Proof:
            proof = ProtocolProof(in_process.settings(tmp_path, version="v7", image="models@sha256:1"))
            works = proof.requests(described(**model), (body, answer))
            assert len(works) == len(outcomes)
            if works:
                proof.answered(outcomes)
            proof.finished(0, 0.0)
            assert proof.proof is not None
            return proof.proof

        found: Proof = in_process.played(play)
        return found

    return look


def test_protocols_that_answer_as_the_prediction_does_are_proven(looked: Callable[..., Proof]) -> None:
    proof = looked(*[Answer(200, b'{"predictions": [3.5]}')] * 3)

    assert proof.holds
    assert (proof.version, proof.image) == ("v7", "models@sha256:1")
    assert (proof.protocols, proof.differences, proof.not_asked) == (ALL, (), "")
    assert "alike over invocations, Open Inference REST and Open Inference gRPC" in proof.sentence()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_protocol_that_answers_otherwise_is_named(looked: Callable[..., Proof], place: int) -> None:
    outcomes = [Answer(200, b'{"predictions": [3.5]}')] * 3
    outcomes[place] = Answer(200, b'{"predictions": [4.5]}')

    proof = looked(*outcomes)

    assert not proof.holds
    [difference] = proof.differences
    assert difference.startswith(f"{ALL[place]}: ")
    assert "4.5" not in difference, "an answer may hold what nobody else is to read"
    assert difference in proof.sentence()


def test_words_and_names_of_a_model_are_told_shortly_and_without_what_moves_a_terminal(
    looked: Callable[..., Proof],
) -> None:
    record = {f"score\x1b[31m{at}": 1.0 for at in range(500)}
    outcomes = [Answer(200, b'{"predictions": [3.5]}')] * 3
    outcomes[1] = Answer(200, json.dumps({"predictions": [record]}).encode())

    [difference] = looked(*outcomes).differences

    assert difference.isprintable()
    assert len(difference) <= 300


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_protocol_that_fails_is_named_with_what_it_says(looked: Callable[..., Proof], place: int) -> None:
    outcomes: list[Any] = [Answer(200, b'{"predictions": [3.5]}')] * 3
    outcomes[place] = Failure(Reason.INVALID_VALUE, "The model takes no such thing.")

    [difference] = looked(*outcomes).differences

    assert difference.startswith(f"{ALL[place]}: ")
    assert "The model takes no such thing." in difference


def test_a_protocol_for_which_a_slow_model_would_be_called_again_is_not_judged(looked: Callable[..., Proof]) -> None:
    proof = looked(Answer(200, b'{"predictions": [3.5]}'), None, None)

    assert proof.holds
    assert proof.protocols == (INVOCATIONS,)
    assert proof.not_asked == (
        "over Open Inference REST and Open Inference gRPC the model gets another input than from the example"
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"messages": [{"role": "user", "content": "Hello"}]}', "neither a table nor a tensor"),
        (b'{"inputs": [[1, 2]], "params": {"k": 3}}', "params"),
        (b"[1, 2]", "neither a table nor a tensor"),
    ],
    ids=["chat", "params", "no object"],
)
def test_an_example_that_no_tensor_holds_is_asked_as_it_is_and_says_why(
    looked: Callable[..., Proof], body: bytes, why: str
) -> None:
    proof = looked(Answer(200, b'{"predictions": [3.5]}'), body=body)

    assert proof.holds
    assert proof.protocols == (INVOCATIONS,)
    assert why in proof.not_asked


def test_a_model_without_an_example_loads_and_nothing_is_claimed_of_its_answers(looked: Callable[..., Proof]) -> None:
    proof = looked(first_call=None)

    assert proof.holds
    assert not proof.has_example
    assert proof.protocols == ()
    assert "no prediction was tried (the model was logged without an input example)" in proof.sentence()


def test_an_engine_is_not_asked_and_what_it_took_is_that_of_its_first_start(tmp_path: Path) -> None:
    def play() -> tuple[Proof | None, Proof | None]:
        proof = ProtocolProof(in_process.settings(tmp_path, version="v7"))
        proof.engine_ready("vllm", 0, 0.0)
        first = proof.proof
        proof.engine_ready("vllm", 0, -1000.0)
        return first, proof.proof

    first, second = in_process.played(play)

    assert first.holds
    assert first.not_asked == "vllm serves it, which is not asked for the example"
    assert second == first


def test_an_example_that_asks_for_a_stream_is_not_asked(looked: Callable[..., Proof]) -> None:
    assert "stream" in looked(body=b'{"messages": [], "stream": true}').not_asked


@pytest.mark.slow
def test_a_pod_tells_what_it_found_out_before_its_first_request(iris_front: Any) -> None:
    proof = proof_of(iris_front)

    assert proof.holds
    assert proof.version == "v7"
    assert proof.has_example
    assert proof.protocols == ALL
    assert proof.not_asked == ""
    assert proof.load_seconds > 0
    assert proof.memory_mib > 50
    assert proof.call_milliseconds is not None


@pytest.mark.slow
def test_the_inference_request_that_was_made_of_the_example_can_be_sent_again(iris_front: Any) -> None:
    text = httpx.get(iris_front.admin_url + INFERENCE_REQUEST_PATH).text

    answer = httpx.post(f"{iris_front.url}/v2/models/model/infer", content=text)

    assert answer.status_code == 200
    assert len(answer.json()["outputs"][0]["data"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        "return [float(value) for value in model_input.iloc[:, 0]]",
        "import time; time.sleep(0.3); return [float(value) for value in model_input.iloc[:, 0]]",
        "import random; return [random.random() for _ in range(len(model_input))]",
        "value = model_input.pop('a'); return [float(each) for each in value]",
    ],
    ids=["quick", "slow", "by chance", "changes its input"],
)
def test_all_protocols_are_proven_with_one_call_of_the_model(
    start_front: Callable[..., Any], python_model: Callable[..., Path], tmp_path: Path, body: str
) -> None:
    import pandas as pd  # noqa: PLC0415
    from mlflow.models import infer_signature  # noqa: PLC0415

    calls = tmp_path / "calls"
    rows = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})
    model = python_model(
        COUNTING.format(calls=str(calls), body=body), input_example=rows, signature=infer_signature(rows, [1.0, 2.0])
    )
    calls.unlink(missing_ok=True)

    with start_front(model) as front:
        proof = proof_of(front)
        called = calls.read_text().count("called")

    assert proof.holds, proof.sentence()
    assert proof.protocols == ALL
    assert called == 1


@pytest.mark.slow
def test_a_front_that_takes_over_tells_what_the_front_before_it_found_out(
    start_front: Callable[..., Any], iris_model: Path
) -> None:
    with start_front(iris_model) as front:
        before = proof_of(front)
        children = Path(f"/proc/{front.process.pid}/task/{front.process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)  # the serving process, which came first

        assert eventually(lambda: told(front), seconds=60) == before
        assert httpx.get(f"{front.url}/ping").status_code == 200


def told(front: Any) -> Proof | None:
    """The proof, once somebody answers."""
    try:
        return proof_of(front)
    except (httpx.TransportError, InputError, ValueError):
        return None
