"""The port about oneself, over HTTP."""

import urllib.error
import urllib.request

from prometheus_client import CollectorRegistry, Counter

from headrace.kube.admin_server import AdminServer, Response


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_each_page_says_what_it_is_asked() -> None:
    well = True
    registry = CollectorRegistry()
    Counter("snapshots", "Snapshots.", registry=registry).inc()
    server = AdminServer(
        0,
        alive=lambda: (True, "alive"),
        ready=lambda: (well, "waiting for keys"),
        registry=registry,
        get=lambda path: Response(200, path.encode()) if path == "/more" else Response(404, b"no\n"),
    )
    server.start()
    try:
        assert get(server.port, "/healthz") == (200, "alive\n")
        assert get(server.port, "/readyz?verbose") == (200, "waiting for keys\n")
        well = False
        assert get(server.port, "/readyz") == (503, "waiting for keys\n")
        assert "snapshots_total 1.0" in get(server.port, "/metrics")[1]
        assert get(server.port, "/more?or=less") == (200, "/more")
        assert get(server.port, "/else")[0] == 404
    finally:
        server.stop()
