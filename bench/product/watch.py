"""Looks at a case once a second while its load runs: pods, the autoscaler's word, and CPU by role."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from bench.product import usage
from headrace.contract import names
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer


class Watched(Protocol):
    """What can be looked at: an endpoint, or a peer."""

    @property
    def status(self) -> dict[str, Any]: ...

    def deployment(self) -> dict[str, Any]: ...

    def pods(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look."""

    at: float
    """Unix seconds."""
    ordered: int
    """Pods that the Deployment asks for."""
    placed: int
    """Pods that have a node, and do not leave."""
    ready: int
    alive: int
    """All there are: waiting for a node, starting, ready, leaving. They cost."""
    concurrency: int
    """Limit of one pod; 0: not said."""
    reason: str
    """Why the autoscaler does what it does."""
    cpu: Mapping[str, float] = field(default_factory=dict)
    """Seconds since the load began, by role."""


class Watch:
    """Looks from when the block begins until it ends."""

    def __init__(self, server: ApiServer, endpoint: Watched) -> None:
        self.looks: list[Look] = []
        self.decisions: list[dict[str, Any]] = []
        """What the autoscaler decided meanwhile, oldest first."""
        self.starts: dict[str, float] = {}
        """Seconds from a pod's creation until it was ready, of pods that came meanwhile."""
        self.missed = 0
        """Looks that the API server did not answer."""
        self._server, self._endpoint = server, endpoint
        self._usage = usage.Usage()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen: set[str] = set()
        self._own = 0.0

    def __enter__(self) -> "Watch":
        found = self._endpoint.pods()
        self._seen = {pod["metadata"]["name"] for pod in found}
        self._known = {str(each) for each in self._endpoint.status.get("decisions", ())}
        self._system = self._platform()
        self._usage.begin(self._system, found)
        self._own = usage.own()
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    @property
    def cpu(self) -> dict[str, float]:
        """Seconds of CPU by role from the first look to the last."""
        return {**self._usage.seconds, "bench": usage.own() - self._own}

    def _run(self) -> None:
        due = time.monotonic() + 1.0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._look()
            due = max(due + 1.0, time.monotonic())

    def _look(self) -> None:
        try:
            deployment, found, status = self._endpoint.deployment(), self._endpoint.pods(), self._endpoint.status
            if len(self.looks) % 15 == 0:
                self._system = self._platform()
        except TemporaryError:
            self.missed += 1
            return
        for decision in status.get("decisions", ()):
            if str(decision) not in self._known:
                self._known.add(str(decision))
                self.decisions.append(decision)
        self._note_starts(found)
        self.looks.append(
            Look(
                at=time.time(),
                ordered=int(deployment["spec"].get("replicas", 1)),
                **counts(found),
                concurrency=int(status.get("concurrency", 0)),
                reason=str(status.get("reason", "")),
                cpu=self._usage.look(self._system, found),
            )
        )

    def _note_starts(self, found: Sequence[Mapping[str, Any]]) -> None:
        now = time.time()
        for pod in found:
            name = pod["metadata"]["name"]
            if name not in self._seen and ready(pod):
                self._seen.add(name)
                self.starts[name] = now - moment(pod["metadata"]["creationTimestamp"])

    def _platform(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._server.get(f"/api/v1/namespaces/{names.SYSTEM_NAMESPACE}/pods")["items"]
        return found


def counts(found: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Pods placed, ready and alive."""
    staying = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
    return {
        "placed": sum(1 for pod in staying if pod["spec"].get("nodeName")),
        "ready": sum(1 for pod in staying if ready(pod)),
        "alive": len(found),
    }


def ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod takes requests."""
    conditions = pod["status"].get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def moment(stamp: str) -> float:
    """Unix seconds of Kubernetes' time."""
    return float(time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)


def plain(looks: Sequence[Look], started_at: float) -> list[dict[str, Any]]:
    """Looks as data, with seconds from the load's start in place of Unix seconds."""
    made = []
    for look in looks:
        each = asdict(look)
        each["second"] = round(each.pop("at") - started_at, 2)
        each["cpu"] = {role: round(seconds, 3) for role, seconds in look.cpu.items()}
        made.append(each)
    return made
