"""The whole control plane against an API server of a few objects: what it publishes and what it writes back."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from patience import eventually

from headrace.contract import names
from headrace.kube.api_server import ApiServer
from headrace.routing.ads.kubernetes_api import BALANCER_SLICES, ENDPOINT_SLICES, MODEL_ENDPOINTS
from headrace.routing.ads.loop import ControlLoop
from headrace.routing.ads.service import Publisher
from headrace.routing.ads.status_writer import ObservedObjects, StatusWriter
from headrace.routing.snapshot import Options
from headrace.routing.snapshot.resources import CLUSTER, ENDPOINTS

KEYS = {"keys": [{"kid": "one"}]}


class Running:
    """The control plane on a loop of its own thread."""

    def __init__(self, server: ApiServer, ask: Callable[[str, int], Any] | None) -> None:
        self.publisher = Publisher()
        self._ask = ask
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(server), self._loop).result(10)

    async def _start(self, server: ApiServer) -> None:
        self.control_loop = ControlLoop(server, self.publisher, Options(), ask=self._ask)
        self.control_loop.start()
        self._task = asyncio.create_task(self.control_loop.run())

    def resources(self, role: str, type_url: str) -> dict[str, Any]:
        snapshot = self.publisher.snapshot
        return {} if snapshot is None else {name: item.body for name, item in snapshot.roles[role][type_url].items()}

    def pods(self, cluster: str = "fraud/v1") -> list[str]:
        groups = self.resources(names.LOAD_BALANCER, ENDPOINTS).get(cluster, {"endpoints": []})["endpoints"]
        found = [item["endpoint"]["address"]["socket_address"] for group in groups for item in group["lb_endpoints"]]
        return [f"{address['address']}:{address['port_value']}" for address in found]

    def stop(self) -> None:
        async def work() -> None:
            self.control_loop.stop()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


def put_endpoint(
    api: Any, name: str = "fraud", namespace: str | None = None, weight: int = 100, version: str = "v1"
) -> None:
    versions = [{"name": version, "modelUri": "m", "image": "i", "weight": weight}]
    api.put(MODEL_ENDPOINTS, name, namespace=namespace or f"endpoint-{name}", spec={"versions": versions})


def put_slice(api: Any, *ips: str, endpoint: str = "fraud", ready: bool = True) -> None:
    api.put(
        ENDPOINT_SLICES,
        f"{endpoint}-slice",
        namespace=f"endpoint-{endpoint}",
        labels={names.ENDPOINT_LABEL: endpoint, names.VERSION_LABEL: "v1"},
        ports=[{"name": "http", "port": 8080}],
        endpoints=[{"addresses": [ip], "conditions": {"ready": ready}} for ip in ips],
    )


@pytest.fixture
def cluster(api: Any) -> Any:
    """An API server with the kinds installed and nothing in them."""
    api.objects.update({MODEL_ENDPOINTS: {}, ENDPOINT_SLICES: {}, BALANCER_SLICES: {}})
    api.documents["/.well-known/openid-configuration"] = {"issuer": "https://issuer.test"}
    api.documents["/openid/v1/jwks"] = KEYS
    return api


@pytest.fixture
def start(cluster: Any) -> Iterator[Any]:
    started: list[Running] = []

    def run(ask: Callable[[str, int], Any] | None = None) -> Running:
        started.append(Running(cluster.client(), ask))
        return started[-1]

    yield run
    for running in started:
        running.stop()


def status_of(api: Any, name: str = "fraud") -> dict[str, Any]:
    """The last status that was written."""
    written = [body["status"] for path, body in api.patches if path.endswith(f"/{name}/status")]
    return written[-1] if written else {}


def ready(api: Any, name: str = "fraud") -> tuple[str, str]:
    conditions = status_of(api, name).get("conditions", [{"status": "", "reason": ""}])
    return conditions[0]["status"], conditions[0]["reason"]


def test_an_endpoint_and_its_pods_are_published_and_reported(cluster: Any, start: Any) -> None:
    running = start()
    put_endpoint(cluster)
    eventually(lambda: ready(cluster) == ("False", "NoReadyPod"), "reported as waiting")
    put_slice(cluster, "10.0.0.1", "10.0.0.2")
    eventually(lambda: running.pods() == ["10.0.0.1:8080", "10.0.0.2:8080"], "pods published")
    eventually(lambda: ready(cluster) == ("True", "VersionsReady"), "reported as ready")
    assert status_of(cluster)["readyPods"] == 2
    assert running.control_loop.ready() == (True, "ready")
    put_slice(cluster, "10.0.0.2")
    eventually(lambda: running.pods() == ["10.0.0.2:8080"], "a pod that left is gone")


@pytest.mark.parametrize(
    "absent",
    [MODEL_ENDPOINTS, ENDPOINT_SLICES, BALANCER_SLICES, "/openid/v1/jwks"],
)
def test_nothing_is_published_before_everything_was_read_once(cluster: Any, start: Any, absent: str) -> None:
    put_endpoint(cluster)
    put_slice(cluster, "10.0.0.1")
    kept = cluster.objects.pop(absent, None)
    document = cluster.documents.pop(absent, None)
    running = start()
    eventually(lambda: len(running.control_loop.missing()) == 1, "everything else was read")
    assert running.publisher.snapshot is None
    well, why = running.control_loop.ready()
    assert not well
    assert why.startswith("waiting for ")
    if kept is not None:
        cluster.objects[absent] = kept
    else:
        cluster.documents[absent] = document
    eventually(lambda: running.publisher.snapshot is not None, "published once it was read")
    assert running.pods() == ["10.0.0.1:8080"], "the first snapshot is a whole one"


def test_an_outage_of_the_api_server_takes_nothing_away(cluster: Any, start: Any) -> None:
    put_endpoint(cluster)
    put_slice(cluster, "10.0.0.1")
    running = start()
    eventually(lambda: running.pods() == ["10.0.0.1:8080"], "published")
    before = running.publisher.snapshot
    refused = cluster.refused
    cluster.down = True
    cluster.end_watches()
    eventually(lambda: cluster.refused > refused + 4, "tried again in vain")
    assert running.publisher.snapshot == before
    assert running.control_loop.ready() == (True, "ready")
    cluster.down = False
    put_slice(cluster, "10.0.0.9")
    eventually(lambda: running.pods() == ["10.0.0.9:8080"], "caught up")


def test_an_object_with_a_fault_says_so_and_leaves_the_others_alone(cluster: Any, start: Any) -> None:
    put_endpoint(cluster)
    put_endpoint(cluster, "bad", weight=50)
    put_endpoint(cluster, "thief", namespace="endpoint-fraud")
    running = start()
    eventually(lambda: ready(cluster, "bad") == ("False", "InvalidSpec"), "fault reported")
    eventually(lambda: ready(cluster, "thief") == ("False", "InvalidSpec"), "fault reported")
    eventually(
        lambda: {name for name in running.resources(names.LOAD_BALANCER, CLUSTER) if "/" in name} == {"fraud/v1"},
        "others are served",
    )


def test_the_cause_comes_from_the_pods(cluster: Any, start: Any) -> None:
    put_endpoint(cluster)
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "No module named 'xgboost'"}}
    cluster.put(
        "/api/v1/namespaces/endpoint-fraud/pods",
        "fraud-pod",
        labels={names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v1"},
        status={"containerStatuses": [{"name": "model", "state": {}, "lastState": ended}]},
    )
    start()
    eventually(lambda: ready(cluster) == ("False", "ModelLoadFailed"), "cause reported")
    assert "No module named 'xgboost'" in status_of(cluster)["conditions"][0]["message"]


def test_the_cause_why_a_version_to_come_does_not_start_is_told_while_nothing_else_changes(
    cluster: Any, start: Any
) -> None:
    put_endpoint(cluster, version="v2")
    put_slice(cluster, "10.0.0.1")
    cluster.put(
        ENDPOINT_SLICES,
        "coming",
        namespace="endpoint-fraud",
        labels={names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v2"},
        ports=[{"name": "http", "port": 8080}],
        endpoints=[{"addresses": ["10.0.0.2"], "conditions": {"ready": False}}],
    )
    running = start()
    eventually(lambda: ready(cluster) == ("True", "FormerVersionServes"), "what serves is well")
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "No module named 'xgboost'"}}
    cluster.put(
        "/api/v1/namespaces/endpoint-fraud/pods",
        "fraud-pod",
        labels={names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v2"},
        status={"containerStatuses": [{"name": "model", "state": {}, "lastState": ended}]},
    )
    eventually(lambda: len(status_of(cluster)["conditions"]) == 3, "cause reported")

    assert ready(cluster) == ("True", "FormerVersionServes")
    assert "No module named 'xgboost'" in status_of(cluster)["conditions"][1]["message"]
    assert running.pods() == ["10.0.0.1:8080"]


def test_a_change_that_keeps_a_pod_from_starting_is_told_while_nothing_else_changes(cluster: Any) -> None:
    """The version is the same, and pods from before the change serve it: only the pods say that something is wrong."""

    def put_pod(name: str, template: str, **status: Any) -> None:
        labels = {names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v1", "pod-template-hash": template}
        cluster.put("/api/v1/namespaces/endpoint-fraud/pods", name, labels=labels, status=status)

    put_endpoint(cluster)
    put_slice(cluster, "10.0.0.1")
    put_pod("before", "1", conditions=[{"type": "Ready", "status": "True"}])
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "openai" not found'}
    put_pod("after", "2", containerStatuses=[{"name": "model", "state": {"waiting": waiting}}])
    served = cluster.objects[ENDPOINT_SLICES]["fraud-slice"]
    starting = [*served["endpoints"], {"addresses": ["10.0.0.2"], "conditions": {"ready": False}}]
    well = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}
    endpoints = [{**cluster.objects[MODEL_ENDPOINTS]["fraud"], "status": well}]
    writer = StatusWriter(cluster.client())

    writer.write(ObservedObjects(endpoints, [served]), all_endpoints=False, now="2026-01-01T00:00:00Z")
    assert cluster.patches == [], "nobody looks at an endpoint that is well"
    slices = [{**served, "endpoints": starting}]
    writer.write(ObservedObjects(endpoints, slices), all_endpoints=False, now="2026-01-01T00:00:00Z")

    told = [(each["type"], each["status"], each["reason"]) for each in status_of(cluster)["conditions"]]
    assert told == [("Ready", "True", "VersionsReady"), ("RolledOut", "False", "CreateContainerConfigError")]


def test_a_ready_pod_is_asked_what_it_has_proven_and_the_object_tells(cluster: Any, start: Any) -> None:
    asked = []

    def ask(host: str, port: int) -> Any:
        asked.append((host, port))
        told = {"version": "v1", "image": "i", "time": "2026-01-01T00:00:00Z", "loadSeconds": 1.5, "memoryMib": 200}
        return {**told, "hasExample": True, "protocols": ["invocations"]}

    start(ask)
    put_endpoint(cluster)
    eventually(lambda: ready(cluster) == ("False", "NoReadyPod"), "reported as waiting")
    assert asked == []
    put_slice(cluster, "10.0.0.1", "10.0.0.2")
    eventually(lambda: len(status_of(cluster).get("conditions", ())) == 2, "proof reported")
    proven = status_of(cluster)["conditions"][1]

    assert (proven["type"], proven["status"], proven["reason"]) == ("Proven", "True", "ExampleAnswered")
    assert status_of(cluster)["proofs"][0]["loadSeconds"] == 1.5
    assert asked == [("10.0.0.1", names.FRONT_ADMIN_PORT)]


def test_a_status_that_is_right_is_not_written_again(cluster: Any, start: Any) -> None:
    put_endpoint(cluster)
    put_slice(cluster, "10.0.0.1")
    running = start()
    eventually(lambda: ready(cluster) == ("True", "VersionsReady"), "written")
    item = cluster.objects[MODEL_ENDPOINTS]["fraud"]
    cluster.tell(MODEL_ENDPOINTS, {"type": "MODIFIED", "object": {**item, "status": status_of(cluster)}})
    eventually(lambda: running.control_loop.endpoints.all()[0].get("status"), "our own write seen")
    count = len(cluster.patches)
    put_slice(cluster, "10.0.0.2")
    eventually(lambda: running.pods() == ["10.0.0.2:8080"], "something else has changed")
    put_endpoint(cluster, "other")
    eventually(lambda: ready(cluster, "other")[0] == "False", "and the other endpoint was reported")
    assert [path for path, _ in cluster.patches[count:] if "/fraud/" in path] == []


def test_a_status_that_cannot_be_written_delays_no_proxy(cluster: Any, start: Any) -> None:
    put_endpoint(cluster)
    running = start()
    eventually(lambda: ready(cluster) == ("False", "NoReadyPod"), "reported")
    cluster.patches_allowed.clear()
    put_slice(cluster, "10.0.0.1")
    eventually(lambda: running.pods() == ["10.0.0.1:8080"], "published all the same")
    put_slice(cluster, "10.0.0.2")
    eventually(lambda: running.pods() == ["10.0.0.2:8080"], "and again")
    assert ready(cluster) == ("False", "NoReadyPod")
    cluster.patches_allowed.set()
    eventually(lambda: ready(cluster) == ("True", "VersionsReady"), "reported when it could be")


def put_balancers(api: Any, *, ready: bool) -> None:
    api.put(
        BALANCER_SLICES,
        "load-balancer-slice",
        namespace=names.SYSTEM_NAMESPACE,
        ports=[{"name": "proxy", "port": 8080}],
        endpoints=[
            {"addresses": ["10.1.0.1"], "conditions": {"ready": ready}},
            {"addresses": ["10.1.0.2"], "conditions": {"ready": False, "serving": True, "terminating": True}},
        ],
    )


def balancers(running: Running, program: str = names.LOAD_BALANCER) -> list[str]:
    """What the PopProxy is told."""
    body = running.resources(names.POP_PROXY, ENDPOINTS).get(program, {"endpoints": []})
    return [
        item["endpoint"]["address"]["socket_address"]["address"]
        for group in body["endpoints"]
        for item in group["lb_endpoints"]
    ]


def test_the_load_balancers_own_pods_are_told_to_the_pop(cluster: Any, start: Any) -> None:
    put_balancers(cluster, ready=True)
    running = start()
    eventually(lambda: balancers(running) == ["10.1.0.1"], "told")


def test_the_management_apis_pods_are_told_to_the_pop_and_are_no_balancers(cluster: Any, start: Any) -> None:
    put_balancers(cluster, ready=True)
    cluster.put(
        BALANCER_SLICES,
        "management-slice",
        namespace=names.SYSTEM_NAMESPACE,
        labels={"kubernetes.io/service-name": names.MANAGEMENT},
        ports=[{"name": "http", "port": names.MANAGEMENT_PORT}],
        endpoints=[{"addresses": ["10.1.0.9"], "conditions": {"ready": True}}],
    )
    running = start()
    eventually(lambda: balancers(running, names.MANAGEMENT) == ["10.1.0.9"], "told")
    assert balancers(running) == ["10.1.0.1"]


def test_an_api_server_that_comes_back_and_calls_every_pod_unready_takes_nothing_away(cluster: Any, start: Any) -> None:
    """The node controller does so when it has not heard of the nodes for longer than its grace."""
    put_endpoint(cluster)
    put_balancers(cluster, ready=True)
    put_slice(cluster, "10.0.0.1", "10.0.0.2")
    running = start()
    eventually(lambda: ready(cluster) == ("True", "VersionsReady"), "served")
    cluster.down = True
    cluster.end_watches()
    put_balancers(cluster, ready=False)
    put_slice(cluster, "10.0.0.1", "10.0.0.2", ready=False)
    cluster.down = False
    eventually(lambda: ready(cluster) == ("False", "NoReadyPod"), "what is said of the pods is known")
    assert running.pods() == ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert balancers(running) == ["10.1.0.1", "10.1.0.2"]
    put_balancers(cluster, ready=True)
    put_slice(cluster, "10.0.0.1", "10.0.0.2")
    eventually(lambda: ready(cluster) == ("True", "VersionsReady"), "all is well again")
    put_slice(cluster, "10.0.0.2")
    eventually(lambda: running.pods() == ["10.0.0.2:8080"], "and what is said of pods is believed again")
    assert balancers(running) == ["10.1.0.1"]
