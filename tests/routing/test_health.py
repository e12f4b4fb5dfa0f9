"""The health port over HTTP."""

import urllib.error
import urllib.request

from headrace.routing.health import HealthServer


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_each_page_says_what_it_is_asked() -> None:
    well = True
    server = HealthServer(0, alive=lambda: (True, "alive"), ready=lambda: (well, "waiting for keys"))
    server.start()
    try:
        assert get(server.port, "/healthz") == (200, "alive\n")
        assert get(server.port, "/readyz?verbose") == (200, "waiting for keys\n")
        well = False
        assert get(server.port, "/readyz") == (503, "waiting for keys\n")
        status, text = get(server.port, "/metrics")
        assert status == 200
        assert "headrace_snapshots_total" in text
        assert get(server.port, "/else")[0] == 404
    finally:
        server.stop()
