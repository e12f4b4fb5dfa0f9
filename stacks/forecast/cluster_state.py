"""ClusterState: asks an API server what a forecast needs of it, with the rights of whoever deploys."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import kubernetes
import urllib3
import yaml

from headrace.contract import names
from headrace.contract.errors import HeadraceError, TemporaryError
from headrace.kube.api_server import PAGE_SIZE, ApiServer
from headrace.stacks.forecast.estimate import Object, Seen

_SECONDS: Final = 10.0
_MOST_PAGES: Final = 100
"""50,000 objects of a kind; a larger cluster's forecast does without."""
_CUSTOM: Final = f"/apis/{names.API_GROUP}/{names.API_VERSION}"


def seen(kubeconfig: str) -> Seen:
    """What the cluster of that kubeconfig, as text, has now.

    Raises TemporaryError where it does not answer, or does not let the deployer read it.
    """
    load: Any = kubernetes.config.new_client_from_config_dict
    try:
        server = ApiServer("headrace-forecast", load(yaml.safe_load(kubeconfig)).configuration)
        return Seen(
            nodes=_all(server, "/api/v1/nodes"),
            pods=_all(server, "/api/v1/pods"),
            deployments=_by_namespace(
                _all(server, "/apis/apps/v1/deployments", f"labelSelector={names.ENDPOINT_LABEL}")
            ),
            autoscalers=_by_namespace(_kind(server, f"{_CUSTOM}/{names.APA_PLURAL}")),
        )
    except (kubernetes.config.ConfigException, urllib3.exceptions.HTTPError, OSError) as error:
        raise TemporaryError(f"the cluster was not asked: {error}") from error


def _kind(server: ApiServer, path: str) -> list[Object]:
    """Objects of a kind that a cluster without a platform does not know."""
    try:
        return _all(server, path)
    except HeadraceError:
        return []


def _all(server: ApiServer, path: str, query: str = "") -> list[Object]:
    found: list[Object] = []
    more = ""
    for _ in range(_MOST_PAGES):
        wanted = "&".join(part for part in (f"limit={PAGE_SIZE}", query, more and f"continue={more}") if part)
        page = server.get(f"{path}?{wanted}", seconds=_SECONDS)
        found += page["items"]
        more = page["metadata"].get("continue", "")
        if not more:
            return found
    raise TemporaryError(f"{path} has more than {len(found)} objects; the forecast does without the cluster")


def _by_namespace(objects: Iterable[Object]) -> dict[str, dict[str, Mapping[str, Any]]]:
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for each in objects:
        found.setdefault(each["metadata"]["namespace"], {})[each["metadata"]["name"]] = each
    return found
