"""Objects that an interrupted update created and no state knows of: the next update would find that they exist."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import kubernetes
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError

from headrace.contract.errors import TemporaryError

_OURS: Final = ("app.kubernetes.io/part-of", "headrace")
_GONE_SECONDS: Final = 60.0


def remove(kubeconfig: Path, manifest: Mapping[str, Any]) -> None:
    """Deletes the object of the manifest and waits until it is gone; leaves alone what does not carry our label.

    Raises TemporaryError when it does not go.
    """
    connect: Any = kubernetes.config.new_client_from_config
    dynamic: Any = kubernetes.dynamic.DynamicClient
    client = dynamic(connect(str(kubeconfig)))
    name, namespace = manifest["metadata"]["name"], manifest["metadata"].get("namespace")
    try:
        kind = client.resources.get(api_version=manifest["apiVersion"], kind=manifest["kind"])
        found = kind.get(name=name, namespace=namespace)
        labels = found.metadata.labels.to_dict() if found.metadata.labels else {}
        if labels.get(_OURS[0]) != _OURS[1]:
            return
        kind.delete(name=name, namespace=namespace)
        deadline = time.monotonic() + _GONE_SECONDS
        while time.monotonic() < deadline:
            kind.get(name=name, namespace=namespace)
            time.sleep(0.2)
    except (NotFoundError, ResourceNotFoundError):
        return
    raise TemporaryError(
        f"{manifest['kind']} {name} is still there {_GONE_SECONDS:.0f} s after it was deleted; run again"
    )
