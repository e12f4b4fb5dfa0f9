"""What the pods of one endpoint say of themselves: the model's signature, measures and logs."""

import functools
import json
import logging
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote

import urllib3

from headrace.contract import metrics, names
from headrace.contract.errors import TemporaryError
from headrace.kube.api_server import ApiServer, Object

log = logging.getLogger(__name__)

SECONDS: Final = 3.0
"""Longest wait for one pod."""
LOG_LINES: Final = 1000
LOG_BYTES: Final = 1024 * 1024
METRICS_BYTES: Final = 4 * 1024 * 1024
"""Most that is told of all pods of an endpoint together, a model writes what it likes; each pod has an equal part."""
PODS_AT_ONCE: Final = 8
_SAMPLE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")


class PodReports:
    """Asks the LoadBalancer for the signature, pods' admin ports for measures, and the API server for logs."""

    def __init__(self, server: ApiServer, balancer: str, *, admin_port: int = names.FRONT_ADMIN_PORT) -> None:
        """`balancer` is host and port."""
        self._server, self._balancer, self._admin_port = server, balancer, admin_port
        self._pool = urllib3.PoolManager(num_pools=64, maxsize=PODS_AT_ONCE, retries=False)
        self._threads = ThreadPoolExecutor(PODS_AT_ONCE, thread_name_prefix="pods")

    def metadata(self, endpoint: str) -> Mapping[str, Any] | None:
        """The model's in the Open Inference Protocol; None where it does not speak that. Raises TemporaryError."""
        address = f"http://{self._balancer}/v2/models/{endpoint}"
        try:
            answer = self._pool.request("GET", address, headers={"host": endpoint}, timeout=SECONDS)
            if answer.status == 200:
                found: Mapping[str, Any] = json.loads(answer.data)
                return found
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            raise TemporaryError(f"endpoint {endpoint!r} could not be asked for its signature; try again") from error
        if answer.status in (404, 501):
            return None
        raise TemporaryError(f"no pod of endpoint {endpoint!r} can be asked for its signature yet; try again")

    def measures(self, endpoint: str) -> str:
        """Measures of all pods in Prometheus' text format, each with its pod. Raises TemporaryError."""
        pods = [pod for pod in self._pods(endpoint) if (pod.get("status") or {}).get("podIP")]
        scraped = functools.partial(self._scraped, limit=METRICS_BYTES // max(len(pods), 1))
        texts = self._threads.map(scraped, [pod["status"]["podIP"] for pod in pods])
        return merged({pod["metadata"]["name"]: text for pod, text in zip(pods, texts, strict=True)})

    def logs(self, endpoint: str, version: str) -> str:
        """The end of the log of each pod of the version. Raises TemporaryError."""
        found = []
        pods = self._pods(endpoint, f"{names.VERSION_LABEL}={version}")
        for pod in pods:
            name = pod["metadata"]["name"]
            # `limitBytes` cuts the end off, which is the part that is wanted: it only bounds what is read.
            query = f"tailLines={LOG_LINES}&limitBytes={LOG_BYTES}"
            path = f"/api/v1/namespaces/{names.endpoint_namespace(endpoint)}/pods/{quote(name)}/log?{query}"
            try:
                text = self._server.text(path, seconds=SECONDS)
                found.append(f"==> {name} <==\n{text[-LOG_BYTES // len(pods) :]}")
            except TemporaryError:
                found.append(f"==> {name} <==\n(its log cannot be read now)\n")
        return "\n".join(found)

    def _pods(self, endpoint: str, selector: str = names.ENDPOINT_LABEL) -> list[Object]:
        namespace = names.endpoint_namespace(endpoint)
        pages = self._server.pages(f"/api/v1/namespaces/{namespace}/pods", label_selector=selector)
        try:
            found = [pod for page, _ in pages for pod in page]
        except TemporaryError as error:
            log.warning("%s", error)
            raise TemporaryError(f"the pods of endpoint {endpoint!r} cannot be listed now; try again") from error
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def _scraped(self, ip: str, limit: int) -> str:
        """Whole lines; empty for a pod that does not answer: it starts, or it ends."""
        host = f"[{ip}]" if ":" in ip else ip
        address = f"http://{host}:{self._admin_port}{metrics.METRICS_PATH}"
        try:
            answer = self._pool.request("GET", address, timeout=SECONDS, preload_content=False)
            try:
                text = answer.read(limit).decode(errors="replace") if answer.status == 200 else ""
                return str(text[: text.rfind("\n") + 1])
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError:
            return ""


def merged(texts: Mapping[str, str]) -> str:
    """One exposition of several, by pod: samples of a metric stand together, as the format asks."""
    types: dict[str, str] = {}
    samples: dict[str, list[str]] = {}
    for pod, text in texts.items():
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                types.setdefault(line.split(" ")[2], line)
            elif (sample := _SAMPLE.match(line)) is not None:
                name, labels, value = sample.groups()
                samples.setdefault(name, []).append(f"{name}{{{_joined(labels, pod)}}} {value}")
    families: dict[str, list[str]] = {}
    for name, lines in samples.items():
        families.setdefault(_family(name, types), []).extend(lines)
    parts: Iterable[str] = (
        "\n".join([*([types[family]] if family in types else []), *lines]) for family, lines in families.items()
    )
    return "".join(f"{part}\n" for part in parts)


def _joined(labels: str | None, pod: str) -> str:
    return ",".join(part for part in (f'pod="{pod}"', (labels or "").strip(",")) if part)


def _family(name: str, types: Mapping[str, str]) -> str:
    """The metric that a sample belongs to: histograms and summaries have samples of several names."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return name if name in types or base not in types else base
