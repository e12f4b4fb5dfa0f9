"""What pods say of themselves: asked of real servers on loopback."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.contract.errors import TemporaryError
from headrace.routing.management.pod_reports import LOG_BYTES, METRICS_BYTES, PodReports, merged

PODS = "/api/v1/namespaces/endpoint-fraud/pods"


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server that answers everything alike; returns host and port."""
    servers = []

    def start(status: int, body: bytes, seen: list[tuple[str, str]] | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if seen is not None:
                    seen.append((self.headers["host"], self.path))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def put_pod(api: Any, name: str, **status: str) -> None:
    api.put(PODS, name, namespace="endpoint-fraud", labels={}, status=status)


def test_the_signature_is_asked_of_the_endpoint_through_the_balancer(api: Any, serve: Any) -> None:
    seen: list[tuple[str, str]] = []
    reports = PodReports(api.client(), serve(200, b'{"name": "fraud", "inputs": []}', seen))

    assert reports.metadata("fraud") == {"name": "fraud", "inputs": []}
    assert seen == [("fraud", "/v2/models/fraud")]


def test_a_model_that_does_not_speak_the_protocol_has_none(api: Any, serve: Any) -> None:
    assert PodReports(api.client(), serve(404, b"{}")).metadata("chat") is None


@pytest.mark.parametrize(("status", "body"), [(503, b"{}"), (500, b"{}"), (200, b"no JSON")])
def test_no_answer_is_temporary(api: Any, serve: Any, status: int, body: bytes) -> None:
    with pytest.raises(TemporaryError, match="'fraud'"):
        PodReports(api.client(), serve(status, body)).metadata("fraud")


def test_measures_of_all_pods_stand_in_one_exposition(api: Any, serve: Any) -> None:
    port = int(serve(200, b'# TYPE requests counter\nrequests{code="200"} 7\n').rpartition(":")[2])
    put_pod(api, "a", podIP="127.0.0.1")
    put_pod(api, "b")
    put_pod(api, "c", podIP="127.0.0.1")
    text = PodReports(api.client(), "unused:1", admin_port=port).measures("fraud")

    assert text == '# TYPE requests counter\nrequests{pod="a",code="200"} 7\nrequests{pod="c",code="200"} 7\n'


def test_what_the_api_server_says_is_not_passed_on(api: Any) -> None:
    api.down = True
    reports = PodReports(api.client(), "unused:1")

    for ask in (lambda: reports.measures("fraud"), lambda: reports.logs("fraud", "v1")):
        with pytest.raises(TemporaryError) as caught:
            ask()
        assert str(caught.value) == "the pods of endpoint 'fraud' cannot be listed now; try again"


def test_a_pod_that_does_not_answer_leaves_the_others(api: Any, serve: Any) -> None:
    port = int(serve(200, b"up 1\n").rpartition(":")[2])
    put_pod(api, "a", podIP="127.0.0.2")
    put_pod(api, "b", podIP="127.0.0.1")

    assert PodReports(api.client(), "unused:1", admin_port=port).measures("fraud") == 'up{pod="b"} 1\n'


def test_the_merged_text_is_what_prometheus_reads() -> None:
    one = (
        "# HELP seconds Time.\n# TYPE seconds histogram\n"
        'seconds_bucket{le="1"} 1\nseconds_bucket{le="+Inf"} 2\nseconds_sum 3\nseconds_count 2\n'
        "# TYPE up gauge\nup 1\n"
    )
    found = {family.name: family for family in text_string_to_metric_families(merged({"a": one, "b": one, "c": ""}))}

    assert found.keys() == {"seconds", "up"}
    assert found["seconds"].type == "histogram"
    assert [(sample.labels["pod"], sample.value) for sample in found["up"].samples] == [("a", 1), ("b", 1)]
    assert len(found["seconds"].samples) == 8


def test_what_models_write_is_bounded_and_ends_with_a_whole_line(api: Any, serve: Any) -> None:
    endless = b"".join(b"series{at=%d} 123456\n" % at for at in range(METRICS_BYTES // 20)).replace(b"=", b'="')
    port = int(serve(200, endless.replace(b"}", b'"}')).rpartition(":")[2])
    for name in ("a", "b"):
        put_pod(api, name, podIP="127.0.0.1")
        api.documents[f"{PODS}/{name}/log"] = {"said": "x" * LOG_BYTES + "the end"}
    reports = PodReports(api.client(), "unused:1", admin_port=port)

    measures = reports.measures("fraud")
    assert len(measures) < 2 * METRICS_BYTES
    assert {line.rpartition(" ")[2] for line in measures.splitlines()} == {"123456"}
    logs = reports.logs("fraud", "v1")
    assert len(logs) < LOG_BYTES + 100
    assert logs.count('the end"}') == 2


def test_logs_are_those_of_each_pod_of_the_version(api: Any) -> None:
    put_pod(api, "v1-a")
    put_pod(api, "v1-b")
    api.documents[f"{PODS}/v1-a/log"] = {"said": "loaded"}
    text = PodReports(api.client(), "unused:1").logs("fraud", "v1")

    assert '==> v1-a <==\n{"said": "loaded"}' in text
    assert "==> v1-b <==\n(its log cannot be read now)" in text
