"""A console over made objects: what its pages show, without a cluster."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from headrace.contract import names
from headrace.contract.caller import Caller
from headrace.contract.endpoint_state import EndpointState
from headrace.contract.errors import TemporaryError
from headrace.observability.console.app import application
from headrace.observability.console.load_history import PLOTS, History
from headrace.observability.console.pages import Pages, Sources
from headrace.observability.console.platform_health import ProgramHealth
from headrace.observability.console.pop_requests import TriedAnswer
from headrace.observability.console.visible_endpoints import EndpointDetail, HeldEndpoint, held

HOSTILE = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">'\"&"
NOW = 1_796_000_400.0
METADATA = {
    "inputs": [
        {"name": "amount", "datatype": "FP64", "shape": [-1]},
        {"name": "country", "datatype": "BYTES", "shape": [-1]},
    ]
}


def item_of(
    name: str, *, subjects: tuple[str, ...] = (), groups: tuple[str, ...] = (), versions: int = 1, **status: Any
) -> dict[str, Any]:
    """A ModelEndpoint as JSON."""
    access = {"subjects": list(subjects), **({"groups": list(groups)} if groups else {})}
    shares = [100 // versions] * versions
    shares[0] += 100 - sum(shares)
    condition = {
        "type": "Ready", "status": "True", "reason": "VersionsReady", "message": "Every version has a ready pod.",
        "lastTransitionTime": "2026-11-30T00:50:00Z",
    }  # fmt: skip
    return {
        "metadata": {"name": name, "namespace": names.endpoint_namespace(name), "uid": f"uid-{name}"},
        "spec": {
            "versions": [
                {"name": f"v{at + 1}", "modelUri": f"models:/{name}/{at + 1}", "image": "i@sha256:0", "weight": share}
                for at, share in enumerate(shares)
            ],
            "inferenceTable": {"uri": f"/tables/{name}"},
            **({"access": access} if subjects or groups else {}),
        },
        "status": {"conditions": [condition], **status},
    }  # fmt: skip


def scaler_of(name: str, version: str = "v1", **spec: Any) -> dict[str, Any]:
    """An AutopilotPodAutoscaler as JSON."""
    decision = {
        "time": "2026-11-30T00:58:20Z", "replicas": 2, "concurrency": 8,
        "reasons": ["ScaleUp: 9.1 requests want to be served at once"], "inputs": {"demand": 9.1},
    }  # fmt: skip
    return {
        "metadata": {"name": version, "namespace": names.endpoint_namespace(name)},
        "spec": {"targetRef": {"name": version}, **spec},
        "status": {
            "readyReplicas": 2, "desiredReplicas": 2, "concurrency": 8, "demand": "9.1", "reason": "ScaleUp",
            "decisions": [decision],
        },
    }  # fmt: skip


class MadeEndpoints:
    """Objects in a test's hand, seen through the same rules."""

    def __init__(self, *items: dict[str, Any], scalers: tuple[dict[str, Any], ...] = ()) -> None:
        self.items, self.scalers = {item["metadata"]["name"]: item for item in items}, scalers

        self._held = [found for found in map(held, self.items.values()) if found is not None]

    def listed(self, caller: Caller, containing: str = "") -> list[HeldEndpoint]:
        return [each for each in self._held if each.spec.admits(caller) and containing in each.name]

    def state(self, endpoint: HeldEndpoint) -> EndpointState:
        space = names.endpoint_namespace(endpoint.name)
        return endpoint.state([each for each in self.scalers if each["metadata"]["namespace"] == space])

    def detail(self, name: str, caller: Caller) -> EndpointDetail | None:
        found = held(self.items[name]) if name in self.items else None
        if found is None or not found.spec.admits(caller):
            return None
        own = {each["metadata"]["name"]: each for each in self.scalers if name in each["metadata"]["namespace"]}
        status = self.items[name]["status"]
        return EndpointDetail(held=found, state=found.state(own.values()), status=status, autoscalers=own)


class MadePop:
    """A PopProxy that answers as a test wants."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, str, str]] = []
        self.text = '{"predictions": [1]}'

    def signature(self, endpoint: str, token: str) -> Mapping[str, Any]:
        if not token:
            raise TemporaryError("no token came")
        return METADATA

    def score(self, endpoint: str, body: bytes, token: str, *, version: str = "") -> TriedAnswer:
        self.asked.append((endpoint, body, token, version))
        return TriedAnswer(
            status=200, text=self.text, is_cut=False, milliseconds=7, request_id="request-7", trace_id="trace-7",
            version=version or "v1",
        )  # fmt: skip


def row(requester: str, **changed: Any) -> dict[str, Any]:
    """As the table writer tells it."""
    known = {
        "databricks_request_id": "request-1", "client_request_id": None, "request_time": "2026-11-30T00:59:00+00:00",
        "status_code": 200, "execution_duration_ms": 12, "served_entity_id": "v1", "path": "/invocations",
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "requester": requester, "request": '{"inputs": [1]}',
        "response": '{"predictions": [1]}',
    }  # fmt: skip
    return {**known, **changed}


def sources(endpoints: MadeEndpoints, pop: MadePop | None = None, **changed: Any) -> Sources:
    """What the pages are made of; `changed` replaces parts."""
    times = [int(NOW) - 600 + 5 * at for at in range(121)]
    lines = {plot.key: {"v1": [float(at % 7) for at in range(121)]} for plot in PLOTS}
    made: dict[str, Any] = {
        "endpoints": endpoints,
        "pop": MadePop() if pop is None else pop,
        "programs": lambda: [
            ProgramHealth(name="pop-proxy", ready=2, wanted=2, message=""),
            ProgramHealth(name="routing", ready=1, wanted=2, message="has no minimum availability"),
        ],
        "history": lambda endpoint, now: History(times=times, lines=lines),
        "rows": lambda endpoint, requester, most: [row(requester)],
        "spans": lambda endpoint, trace_id, requester: [],
        "url": lambda: "https://models.example",
    }
    return Sources(**{**made, **changed})


@contextmanager
def served(made: Sources) -> Iterator[str]:
    """The console on a port of the loopback, as the PopProxy sees it; gives the address."""
    config = uvicorn.Config(
        application(Pages(made, now=lambda: NOW)), host="127.0.0.1", port=0, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
