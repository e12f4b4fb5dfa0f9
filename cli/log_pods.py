"""The lines that an endpoint's pods hold, and those of the platform's pods that are about the endpoint."""

import heapq
import queue
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from headrace.cli.log_lines import COMPONENTS, LogLine
from headrace.contract import log_line, names
from headrace.contract.errors import TemporaryError

if TYPE_CHECKING:
    from headrace.cli.cluster_reader import ClusterReader

_SERVING: Final = "model"
"""The container of a model pod whose program is the front."""

Read = Callable[[], Iterator[LogLine]]
"""Yields the lines of one container. Where that breaks off, or the container has not started, stderr says so."""


@dataclass(frozen=True, kw_only=True)
class Container:
    """Whose lines are read."""

    namespace: str
    pod: str
    name: str
    """Empty: the pod has one."""
    component: str
    """Of lines that do not say it."""
    certain: Mapping[str, str] = field(default_factory=dict)
    """What the cluster knows of its lines."""
    about: str = ""
    """Only lines about this endpoint; empty: all."""


def reads(
    cluster: "ClusterReader", endpoint: str, *, version: str, component: str, seconds: int, tail: int, follow: bool
) -> list[Read]:
    """One for each container that may have lines about the endpoint. Without the right to read the platform's pods,
    stderr says so, and those of the endpoint are read alone."""
    found: list[Container] = []
    if component in ("", "front", "model"):
        found += _of_endpoint(cluster, endpoint, version)
    programs = [
        name for kind in ("pop", "balancer", "controller") if component in ("", kind) for name in COMPONENTS[kind]
    ]
    if programs:
        try:
            found += _of_platform(cluster, endpoint, programs)
        except TemporaryError as error:
            print(f"lines of the platform's own programs are left out: {error}", file=sys.stderr)
    return [_read(cluster, one, seconds=seconds, tail=0 if one.about else tail, follow=follow) for one in found]


def _of_endpoint(cluster: "ClusterReader", endpoint: str, version: str) -> Iterator[Container]:
    namespace = names.endpoint_namespace(endpoint)
    labels = {names.ENDPOINT_LABEL: endpoint} | ({names.VERSION_LABEL: version} if version else {})
    for pod in cluster.pods(namespace, labels):
        served = pod["metadata"].get("labels", {}).get(names.VERSION_LABEL, "")
        certain = {log_line.ENDPOINT: endpoint, **({log_line.VERSION: served} if served else {})}
        for container in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
            name = container["name"]
            yield Container(
                namespace=namespace, pod=pod["metadata"]["name"], name=name, certain=certain,
                component=log_line.FRONT if name == _SERVING else name,
            )  # fmt: skip


def _of_platform(cluster: "ClusterReader", endpoint: str, programs: Collection[str]) -> Iterator[Container]:
    for pod in cluster.pods(names.SYSTEM_NAMESPACE):
        program = pod["metadata"].get("labels", {}).get(names.COMPONENT_LABEL, "")
        if program in programs:
            yield Container(
                namespace=names.SYSTEM_NAMESPACE, pod=pod["metadata"]["name"], name="", component=program,
                about=endpoint,
            )  # fmt: skip


def merged(found: Iterable[Read]) -> Iterator[LogLine]:
    """All lines by time."""
    yield from heapq.merge(*(read() for read in found), key=lambda line: line.time)


def as_they_come(found: Iterable[Read]) -> Iterator[LogLine]:
    """Lines of all containers at once; ends when the last has ended."""
    lines: queue.SimpleQueue[LogLine | None] = queue.SimpleQueue()

    def copy(read: Read) -> None:
        for line in read():
            lines.put(line)
        lines.put(None)

    threads = [threading.Thread(target=copy, args=(read,), daemon=True) for read in found]
    for thread in threads:
        thread.start()
    left = len(threads)
    while left:
        line = lines.get()
        if line is None:
            left -= 1
        else:
            yield line


def _read(cluster: "ClusterReader", one: Container, *, seconds: int, tail: int, follow: bool) -> Read:
    def read() -> Iterator[LogLine]:
        told = cluster.log_lines(
            one.namespace, one.pod, container=one.name, since_seconds=seconds, tail=tail, follow=follow
        )
        try:
            for text in told:
                time, _, rest = text.partition(" ")
                line = LogLine.of_pod(rest, time=time, pod=one.pod, component=one.component, **one.certain)
                if not one.about or line.tells_of(one.about):
                    yield line
        except TemporaryError as error:
            print(f"{one.pod}: {error}", file=sys.stderr)

    return read
