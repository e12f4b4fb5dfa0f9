"""NodeFacts: what a cluster's nodes can run, asked of its API server."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.images.architecture import Architecture

_TIMEOUT_SECONDS: Final = 10
_PAGE: Final = 500
_MOST_PAGES: Final = 40
"""20,000 nodes: four times what Kubernetes is tested with."""
_KUBELET: Final = (1, 35)
"""The first whose feature gate ImageVolume is on by default (pkg/features/kube_features.go)."""
_RUNTIMES: Final = {"containerd": (2, 1), "cri-o": (1, 31)}
"""The first releases that mount images."""


@dataclass(frozen=True, kw_only=True)
class NodeFacts:
    """What is known of all nodes together."""

    architectures: tuple[str, ...] = ()
    """Those of `Architecture` that at least one node has, sorted."""
    image_volumes: bool = False
    """Whether every node mounts images as volumes."""


def node_facts(kubeconfig: Mapping[str, Any]) -> NodeFacts:
    """Nothing where the cluster does not answer or has no nodes yet, which may be the case in the preview of a new
    one."""
    # imported here: its generated classes take more than a second of CPU, which a preview that asks nothing is spared
    import kubernetes  # noqa: PLC0415
    import urllib3  # noqa: PLC0415

    found, mounting, more = set[str](), list[bool](), ""
    connect: Any = kubernetes.config.new_client_from_config_dict
    try:
        core: Any = kubernetes.client.CoreV1Api(connect(dict(kubeconfig)))
        for _ in range(_MOST_PAGES):
            page = core.list_node(limit=_PAGE, _continue=more, _request_timeout=_TIMEOUT_SECONDS)
            told = [node.status.node_info for node in page.items if node.status.node_info]
            found |= {info.architecture for info in told}
            mounting += [mounts_images(info.kubelet_version, info.container_runtime_version) for info in told]
            more = page.metadata._continue or ""
            if not more:
                break
    except (kubernetes.client.ApiException, kubernetes.config.ConfigException, urllib3.exceptions.HTTPError, OSError):
        return NodeFacts()
    return NodeFacts(
        architectures=tuple(sorted(found & {*Architecture})), image_volumes=bool(mounting) and all(mounting)
    )


def mounts_images(kubelet: str, runtime: str) -> bool:
    """Whether a node of these versions, as it tells them (`v1.36.3`, `containerd://2.1.4`), mounts images as
    volumes."""
    name, _, version = runtime.partition("://")
    first = _RUNTIMES.get(name)
    return first is not None and _release(version) >= first and _release(kubelet) >= _KUBELET


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:2]))
