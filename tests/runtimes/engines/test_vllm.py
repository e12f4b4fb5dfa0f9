"""A real vLLM on CPU cores, with a tiny Llama made here and logged with MLflow, through our front.

The engine's environment is 5.9 GB: `make test-vllm` runs this, and writes what it saw to tests/recorded/vllm.json.
"""

import json
import os
import platform
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from patience import eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("HEADRACE_TEST_VLLM"),
        reason="vLLM's environment is a download of 5.9 GB: run `make test-vllm`",
    ),
]
RECORD = Path(__file__).parents[2] / "recorded" / "vllm.json"
MESSAGES = [{"role": "user", "content": "the mill turns"}]
seen: dict[str, Any] = {}


@pytest.fixture(scope="module")
def llama(engine_python: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama, saved with MLflow's transformers flavor."""
    directory = tmp_path_factory.mktemp("llama") / "model"
    script = Path(__file__).with_name("make_llama.py")
    subprocess.run([str(engine_python("vllm")), str(script), str(directory)], check=True)
    return directory


@pytest.fixture(scope="module")
def vllm(
    request: pytest.FixtureRequest,
    start_engine: Callable[..., Any],
    engine_python: Callable[[str], Path],
    llama: Path,
) -> Iterator[Any]:
    """vLLM behind our front; what was seen is recorded when every test has passed."""
    began, failed = time.monotonic(), request.session.testsfailed
    asked = {"kind": "vllm", "gpus": 0, "arguments": ["--max-model-len=256"]}
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "HEADRACE_GRACE_SECONDS": "60"}
    with start_engine(llama, asked, python=str(engine_python("vllm")), seconds=500, **settings) as engine:
        seen["ready_after_seconds"] = round(time.monotonic() - began, 1)
        yield engine
    if request.session.testsfailed > failed:
        return
    RECORD.parent.mkdir(exist_ok=True)
    record = {
        "engine": _versions(engine_python("vllm")),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "model": "Llama of 2 layers, head size 64, random weights, float32",
        "seen": seen,
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


def _versions(python: Path) -> dict[str, str]:
    names = ["vllm-cpu", "torch", "transformers", "mlflow"]
    program = (
        "import json, sys; from importlib.metadata import version; print(json.dumps([*map(version, sys.argv[1:])]))"
    )
    said = subprocess.run([str(python), "-c", program, *names], check=True, capture_output=True).stdout
    return dict(zip(names, json.loads(said), strict=True))


def test_health_is_told_in_each_dialect(vllm: Any) -> None:
    assert httpx.get(vllm.url + "/ping").status_code == 200
    assert httpx.get(vllm.url + "/health").status_code == 200
    assert httpx.get(vllm.url + "/v2/health/ready").json() == {"live": True, "ready": True}
    assert httpx.get(vllm.url + "/version").text == "vllm"


def test_openais_client_chats_completes_and_streams(vllm: Any) -> None:
    client = openai.OpenAI(base_url=vllm.url + "/v1", api_key="none")

    chat = client.chat.completions.create(model="fraud", messages=MESSAGES, max_tokens=8, temperature=0)  # type: ignore
    completion = client.completions.create(model="fraud", prompt="the mill", max_tokens=8, temperature=0)
    stream = client.chat.completions.create(  # type: ignore
        model="fraud", messages=MESSAGES, max_tokens=8, temperature=0, stream=True
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]

    assert chat.usage is not None
    assert chat.usage.completion_tokens == 8
    assert chat.choices[0].finish_reason == "length"
    assert "".join(pieces) == chat.choices[0].message.content
    assert [model.id for model in client.models.list()] == ["fraud"]
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="other", prompt="the mill")
    seen["chat"] = chat.choices[0].message.content
    seen["completion"] = completion.choices[0].text
    seen["streamed_pieces"] = len(pieces)


def test_invocations_take_messages_prompts_and_rows(vllm: Any) -> None:
    chat = vllm.post("/invocations", {"messages": MESSAGES, "max_tokens": 4}).json()
    rows = {"inputs": ["the mill", "a wheel"], "params": {"max_new_tokens": 4, "temperature": 0}}
    predictions = vllm.post("/invocations", rows).json()["predictions"]
    refused = vllm.post("/invocations", {"messages": MESSAGES, "max_tokens": 10_000})

    assert chat["object"] == "chat.completion"
    assert len(predictions) == 2
    assert all(isinstance(text, str) for text in predictions)
    assert (refused.status_code, refused.json()["error_code"]) == (400, "BAD_REQUEST")
    seen["predictions"] = predictions


def test_a_stream_of_invocations_ends_with_done(vllm: Any) -> None:
    document = {"messages": MESSAGES, "max_tokens": 6, "stream": True}
    with httpx.stream("POST", vllm.url + "/invocations", json=document, timeout=60) as response:
        lines = [line for line in response.iter_lines() if line]

    assert all(line.startswith("data: ") for line in lines)  # MLflow's client fails on anything else
    assert lines[-1] == "data: [DONE]"


def test_a_caller_that_leaves_stops_the_engines_work(vllm: Any) -> None:
    document = {"prompt": "the mill", "max_tokens": 200, "ignore_eos": True, "stream": True}
    with httpx.stream(
        "POST", vllm.url + "/v1/completions", json={"model": "fraud", **document}, timeout=60
    ) as response:
        next(response.iter_lines())
    eventually(lambda: vllm.metric("vllm:num_requests_running") == vllm.metric("headrace_requests_executing") == 0)


def test_vllms_metrics_come_with_ours(vllm: Any) -> None:
    assert vllm.metric("vllm:generation_tokens_total") > 0
    assert vllm.metric("headrace_requests_completed_total") > 0


def test_what_is_over_the_limit_waits_and_then_is_refused(vllm: Any) -> None:
    long = {"prompt": "the mill", "max_tokens": 240, "ignore_eos": True, "n": 64}
    with ThreadPoolExecutor(80) as pool:
        assert httpx.put(vllm.admin_url + "/concurrency", json={"limit": 1}).status_code == 200
        first = pool.submit(vllm.post, "/v1/completions", {"model": "fraud", **long})  # holds the one place meanwhile
        eventually(lambda: vllm.metric("headrace_requests_executing") == 1)
        short = {"model": "fraud", "prompt": "a wheel", "max_tokens": 1}
        others = [pool.submit(vllm.post, "/v1/completions", short) for _ in range(69)]
        answers = [one.result() for one in (first, *others)]
    assert httpx.put(vllm.admin_url + "/concurrency", json={"limit": 256}).status_code == 200
    refused = [answer for answer in answers if answer.status_code == 429]

    assert {answer.status_code for answer in answers} == {200, 429}
    assert all(answer.headers["retry-after"].isdigit() and "error" in answer.json() for answer in refused)
    assert len(answers[0].json()["choices"]) == 64
    seen["answered_and_refused_at_a_limit_of_one"] = [len(answers) - len(refused), len(refused)]


def test_a_stream_is_finished_before_the_pod_ends_and_the_engine_with_it(vllm: Any) -> None:
    document = {"model": "fraud", "prompt": "the mill", "max_tokens": 200, "ignore_eos": True, "stream": True}
    pid = vllm.engine_pid()
    with httpx.stream("POST", vllm.url + "/v1/completions", json=document, timeout=60) as response:
        lines = response.iter_lines()
        first = next(lines)
        vllm.process.send_signal(signal.SIGTERM)
        rest = [line for line in lines if line]

    assert first.startswith("data: ")
    assert rest[-1] == "data: [DONE]"
    assert len(rest) > 100
    assert vllm.process.wait(60) == 0
    assert not Path(f"/proc/{pid}").exists()
