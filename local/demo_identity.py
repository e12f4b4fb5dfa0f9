"""The demo's identity: a ServiceAccount, and short-lived tokens of it with the platform's audience."""

from pathlib import Path
from typing import Any, Final

import kubernetes
from kubernetes.client.exceptions import ApiException

from headrace.contract import names

NAMESPACE: Final = "default"
NAME: Final = "headrace-demo"
_SECONDS: Final = 24 * 3600


def _core(kubeconfig: Path) -> Any:
    connect: Any = kubernetes.config.new_client_from_config
    return kubernetes.client.CoreV1Api(connect(str(kubeconfig)))


def token(kubeconfig: Path, *, audience: str = names.TOKEN_AUDIENCE) -> str:
    """A JWT of the demo's ServiceAccount, made when missing; valid for a day."""
    core = _core(kubeconfig)
    try:
        core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": NAME}})
    except ApiException as error:
        if error.status != 409:  # it exists
            raise
    request = {"spec": {"audiences": [audience], "expirationSeconds": _SECONDS}}
    answer = core.create_namespaced_service_account_token(NAME, NAMESPACE, request)
    return str(answer.status.token)


def remove(kubeconfig: Path) -> None:
    """Deletes the ServiceAccount; its tokens stop being valid."""
    try:
        _core(kubeconfig).delete_namespaced_service_account(NAME, NAMESPACE)
    except ApiException as error:
        if error.status != 404:
            raise


def first_node_address(kubeconfig: Path) -> str:
    """Internal address of one node, at which NodePorts answer."""
    for node in _core(kubeconfig).list_node().items:
        for address in node.status.addresses:
            if address.type == "InternalIP":
                return str(address.address)
    return "127.0.0.1"
