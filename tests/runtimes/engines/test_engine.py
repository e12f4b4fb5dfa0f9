"""What the front sees to, whatever the engine is: the scripted engine does what real ones do rarely."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from patience import eventually
from running_pod import status_of

from tests.runtimes.grpc_proxy import grpc_proxy

pytestmark = pytest.mark.slow


def streamed(engine: Any, prompt: str) -> list[str]:
    """The lines of a streamed answer, empty ones left out."""
    document = {"model": "fraud", "prompt": prompt, "stream": True}
    with httpx.stream("POST", engine.url + "/v1/completions", json=document, timeout=60) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        return [line for line in response.iter_lines() if line]


def test_a_request_that_comes_in_one_piece_passes_like_any_other(scripted: Any) -> None:
    body = b'{"prompt": "hello"}'
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with scripted() as engine:
        address = httpx.URL(engine.url)
        with socket.create_connection((address.host, address.port or 80), timeout=30) as caller:
            caller.sendall(head % len(body) + body)
            status = caller.recv(65536).split(b"\r\n", 1)[0]

    assert status == b"HTTP/1.1 200 OK"


def plain(path: str, document: Any, *headers: bytes) -> bytes:
    """A request as clients write it in one piece."""
    body = json.dumps(document).encode()
    lines = [b"Host: x", b"Content-Type: application/json", b"Content-Length: %d" % len(body), *headers]
    return b"POST %s HTTP/1.1\r\n" % path.encode() + b"\r\n".join(lines) + b"\r\n\r\n" + body


def read_answer(reader: Any) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Status line, headers and body of the next answer on a connection, whose date and id are left out."""
    status = reader.readline().strip()
    fields = dict(line.strip().split(b": ", 1) for line in iter(reader.readline, b"\r\n"))
    headers = {name.lower(): value for name, value in fields.items()}
    del headers[b"date"]
    if b"transfer-encoding" not in headers:
        return status, headers, reader.read(int(headers[b"content-length"]))
    body = b""
    while size := int(reader.readline(), 16):
        body += reader.read(size)
        assert reader.readline() == b"\r\n"
    assert reader.readline() == b"\r\n"
    return status, headers, body


def test_a_request_in_one_piece_and_in_two_gets_the_same_answer(scripted: Any) -> None:
    known = b"x-request-id: a-1"
    asked = [
        ("/v1/completions", {"prompt": "slowly 3", "stream": True}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hello"}]}),
        ("/v1/completions", {"prompt": "refuse"}),
        ("/v1/completions", {"prompt": "fail"}),
        ("/v1/completions", {"prompt": "hang up", "stream": True}),
        ("/invocations", {"dataframe_split": {"columns": ["text"], "data": [["a"], ["b"]]}}),
        ("/invocations", {"unknown": 1}),
        ("/v1/completions", {"prompt": "hello"}),
    ]
    with scripted() as engine:
        address = httpx.URL(engine.url)
        with socket.create_connection((address.host, address.port or 80), timeout=30) as caller:
            reader = caller.makefile("rb")
            for path, document in asked:
                whole = plain(path, document, known)
                caller.sendall(whole)
                short = read_answer(reader)
                caller.sendall(whole[:40])
                time.sleep(0.05)  # a read of its own
                caller.sendall(whole[40:])
                assert read_answer(reader) == short
        assert short[0] == b"HTTP/1.1 200 OK"
        assert (short[1][b"x-request-id"], short[1][b"served-model-name"]) == (b"a-1", b"v7")
        assert engine.metric("headrace_requests_executing") == 0


def test_what_is_sent_behind_a_stream_is_answered_after_it(scripted: Any) -> None:
    with scripted() as engine:
        address = httpx.URL(engine.url)
        with socket.create_connection((address.host, address.port or 80), timeout=30) as caller:
            reader = caller.makefile("rb")
            caller.sendall(plain("/v1/completions", {"prompt": "slowly 10", "stream": True}))
            time.sleep(0.05)
            caller.sendall(plain("/v1/completions", {"prompt": "hello"}) + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            streamed_, behind, ping = read_answer(reader), read_answer(reader), read_answer(reader)

    assert streamed_[2].count(b"data: ") == 11
    assert json.loads(behind[2])["choices"][0]["text"] == "hello"
    assert (ping[0], ping[2]) == (b"HTTP/1.1 200 OK", b"\n")


def test_a_caller_that_leaves_a_stream_frees_its_place(scripted: Any) -> None:
    with scripted(HEADRACE_CONCURRENCY="1") as engine:
        address = httpx.URL(engine.url)
        with socket.create_connection((address.host, address.port or 80), timeout=30) as caller:
            caller.sendall(plain("/v1/completions", {"prompt": "slowly 3000", "stream": True}))
            assert b"data: " in caller.recv(65536)
            assert engine.metric("headrace_requests_executing") == 1

        eventually(lambda: engine.metric("headrace_requests_executing") == 0)


def test_a_stream_on_a_raw_connection_is_finished_before_the_pod_ends(scripted: Any) -> None:
    with scripted() as engine:
        address = httpx.URL(engine.url)
        with socket.create_connection((address.host, address.port or 80), timeout=30) as caller:
            caller.sendall(plain("/v1/completions", {"prompt": "slowly 60", "stream": True}))
            eventually(lambda: engine.metric("headrace_requests_executing") == 1)
            engine.process.send_signal(signal.SIGTERM)
            _, _, body = read_answer(caller.makefile("rb"))

        assert body.endswith(b"data: [DONE]\n\n")
        assert body.count(b"data: ") == 61
        assert engine.process.wait(20) == 0


def test_a_wave_of_requests_finds_the_connections_of_the_one_before(scripted: Any) -> None:
    def wave(engine: Any) -> int:
        """A hundred requests at once; how many connections the engine has had after them."""
        address = httpx.URL(engine.url)
        with contextlib.ExitStack() as stack:
            callers = [
                stack.enter_context(socket.create_connection((address.host, address.port or 80), timeout=60))
                for _ in range(100)
            ]
            for caller in callers:
                caller.sendall(plain("/v1/completions", {"prompt": "sleep 3"}))
            for caller in callers:
                assert read_answer(caller.makefile("rb"))[0] == b"HTTP/1.1 200 OK"
        line = next(line for line in engine.metrics().splitlines() if line.startswith("scripted_connections_total "))
        return int(line.rpartition(" ")[2])

    with scripted(HEADRACE_CONCURRENCY="100") as engine:
        first, second = wave(engine), wave(engine)

    assert first >= 100
    assert second - first <= 5  # the look at the metrics, and questions about health amid the wave


def test_requests_pass_and_say_which_version_answered(scripted: Any) -> None:
    with scripted() as engine:
        answer = engine.post("/v1/completions", {"prompt": "hello"}, headers={"x-request-id": "a-1"})
        wrapped = engine.post("/invocations", {"dataframe_split": {"columns": ["text"], "data": [["a"], ["b"]]}})
        whole = engine.post("/invocations", {"prompt": "hello"})
        refused = engine.post("/v1/completions", {"prompt": "refuse"})
        failed = engine.post("/v1/completions", {"prompt": "fail"})
        told = engine.post("/invocations", {"prompt": "refuse"})
        not_json = httpx.post(engine.url + "/v1/completions", content=b'{"a": NaN}')
        metrics = engine.metrics()
        elsewhere = [httpx.get(engine.url + path).status_code for path in ("/metrics", "/v2/models/fraud", "/v1/files")]

    assert answer.json()["choices"][0]["text"] == "hello"
    assert (answer.headers["x-request-id"], answer.headers["served-model-name"]) == ("a-1", "v7")
    assert wrapped.json() == {"predictions": ["a", "b"]}
    assert whole.json()["choices"][0]["text"] == "hello"
    assert refused.json() == {"error": {"message": "the prompt is too long", "code": 400}}
    assert (failed.status_code, "secret" in failed.text) == (500, False)
    assert told.json()["error_code"] == "BAD_REQUEST"
    assert told.json()["message"] == "the prompt is too long"
    assert (not_json.status_code, "error" in not_json.json()) == (400, True)
    assert "scripted_requests_total 3" in metrics
    assert "headrace_requests_arrived_total" in metrics
    assert elsewhere == [404, 404, 404]


def test_an_engine_that_does_not_speak_a_protocol_says_so_over_grpc(scripted: Any) -> None:
    triton = pytest.importorskip("tritonclient.grpc")
    from tritonclient.utils import InferenceServerException  # noqa: PLC0415 -- optional

    with (
        scripted() as engine,
        grpc_proxy(engine.log.parent, engine.port) as address,
        triton.InferenceServerClient(address) as client,
    ):
        text = triton.InferInput("text", [1], "BYTES").set_data_from_numpy(np.array([b"x"], dtype=np.object_))
        assert client.is_server_live()
        assert client.is_model_ready("fraud", "v7")
        for ask in (lambda: client.infer("fraud", [text]), lambda: client.get_model_metadata("fraud")):
            with pytest.raises(InferenceServerException, match="does not speak") as caught:
                ask()
            assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


@pytest.mark.parametrize("prompt", ["die", "hang up"])
def test_a_stream_that_breaks_off_ends_with_an_error_and_not_as_if_it_were_complete(scripted: Any, prompt: str) -> None:
    with scripted() as engine:
        lines = streamed(engine, prompt)

        assert [json.loads(line[6:])["choices"][0]["text"] for line in lines[:3]] == ["0", "1", "2"]
        assert "stopped before" in json.loads(lines[3].removeprefix("data: "))["error"]["message"]
        assert len(lines) == 4
        assert streamed(engine, "slowly 2")[-1] == "data: [DONE]" if prompt == "hang up" else True


def test_an_engine_that_dies_is_replaced_and_its_requests_get_500(scripted: Any) -> None:
    with scripted() as engine:
        before = engine.engine_pid()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(engine.post, "/v1/completions", {"prompt": "sleep 30"})
            eventually(lambda: engine.metric("headrace_requests_executing") == 1)
            os.kill(before, signal.SIGKILL)
            assert asked.result().status_code == 500
        eventually(lambda: httpx.get(engine.url + "/ping").status_code == 200)

        assert engine.engine_pid() != before
        assert engine.metric("headrace_worker_exits_total") == 1
        assert engine.post("/v1/completions", {"prompt": "again"}).status_code == 200


def test_an_engine_that_says_it_is_broken_is_replaced(scripted: Any) -> None:
    with scripted() as engine:
        before = engine.engine_pid()
        engine.post("/v1/completions", {"prompt": "sicken"})
        eventually(lambda: engine.metric("headrace_worker_exits_total") == 1)
        eventually(lambda: httpx.get(engine.url + "/ping").status_code == 200)

        assert engine.engine_pid() != before


def test_an_engine_outlives_the_serving_process_of_the_front(scripted: Any) -> None:
    with scripted() as engine:
        before = engine.engine_pid()
        [serving] = Path(f"/proc/{engine.process.pid}/task/{engine.process.pid}/children").read_text().split()
        os.kill(int(serving), signal.SIGKILL)
        eventually(lambda: status_of(engine.url + "/ping") == 200)

        assert engine.post("/v1/completions", {"prompt": "still"}).status_code == 200
        assert engine.engine_pid() == before


def test_an_engine_that_never_starts_ends_the_pod_with_its_own_words(scripted: Any) -> None:
    with scripted("broken-at-start", wait=False) as engine:
        eventually(lambda: "another architecture" in answered(engine.url + "/ping"))

        assert engine.process.wait(30) != 0


def test_what_is_over_the_limit_waits_and_then_is_refused(scripted: Any) -> None:
    with scripted(HEADRACE_CONCURRENCY="1") as engine, ThreadPoolExecutor(80) as pool:
        first = pool.submit(engine.post, "/v1/completions", {"prompt": "sleep 9"})  # holds the one place meanwhile
        eventually(lambda: engine.metric("headrace_requests_executing") == 1)
        others = [pool.submit(engine.post, "/v1/completions", {"prompt": "sleep 0"}) for _ in range(69)]
        answers_ = [one.result() for one in (first, *others)]
        refused = [answer for answer in answers_ if answer.status_code == 429]

        assert {answer.status_code for answer in answers_} == {200, 429}
        assert refused
        assert all(answer.headers["retry-after"].isdigit() and "error" in answer.json() for answer in refused)
        assert engine.metric("headrace_requests_executing") == 0
        assert engine.metric("headrace_requests_queued") == 0


def test_a_request_over_its_time_limit_is_answered_504(scripted: Any) -> None:
    with scripted(HEADRACE_TIMEOUT_SECONDS="0.5") as engine:
        assert engine.post("/invocations", {"prompt": "sleep 5"}).json()["error_code"] == "DEADLINE_EXCEEDED"


def test_a_caller_that_leaves_frees_its_place(scripted: Any) -> None:
    with scripted(HEADRACE_CONCURRENCY="1") as engine:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(engine.url + "/v1/completions", json={"prompt": "sleep 60"}, timeout=0.5)

        assert engine.post("/v1/completions", {"prompt": "next"}).status_code == 200


def test_streams_are_finished_before_the_pod_ends(scripted: Any) -> None:
    with scripted() as engine:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(streamed(engine, "slowly 60")))
        reader.start()
        eventually(lambda: engine.metric("headrace_requests_executing") == 1)
        engine.process.send_signal(signal.SIGTERM)
        reader.join(20)

        assert lines[-1] == "data: [DONE]"
        assert len(lines) == 61
        assert engine.process.wait(20) == 0


def test_a_stream_longer_than_the_grace_ends_with_an_error(scripted: Any) -> None:
    with scripted() as engine:
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(streamed(engine, "slowly 3000")))
        reader.start()
        eventually(lambda: engine.metric("headrace_requests_executing") == 1)
        pid = engine.engine_pid()
        engine.process.send_signal(signal.SIGTERM)
        reader.join(20)

        assert "error" in json.loads(lines[-1].removeprefix("data: "))
        assert engine.process.wait(20) == 0
        assert not Path(f"/proc/{pid}").exists()


def answered(url: str) -> str:
    try:
        return httpx.get(url, timeout=5).text
    except httpx.TransportError:
        return ""
