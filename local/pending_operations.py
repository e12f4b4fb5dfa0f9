"""Pulumi's pending operations: objects whose creation an interrupted update began, and Pulumi's state may not hold.

The next update would create such an object again and fail, because it exists; so it is deleted before.
"""

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
    """Deletes the manifest's object and waits until it is gone. An object without our label is left alone.

    Raises TemporaryError when the object still exists after a minute.
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
