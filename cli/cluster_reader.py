"""ClusterReader: what the commands read of a cluster, with the rights of whoever runs them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import kubernetes

from headrace.contract import names
from headrace.contract.errors import PermanentError
from headrace.kube.api_server import ApiServer, Missing, Object

_KINDS: Final = f"/apis/{names.API_GROUP}/{names.API_VERSION}"
_QUIET_SECONDS: Final = 3600.0
"""How long a log that is followed may say nothing."""


@dataclass(frozen=True, kw_only=True)
class PlatformAddress:
    """Where clients reach the platform, and whom they must trust."""

    url: str
    """https://host:port."""
    ca_certificate: str
    """PEM; empty where a public authority signed the platform's certificate."""


class ClusterReader:
    """A connection to one cluster. Methods raise TemporaryError where the API server refuses or gives no answer."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        """As kubectl: the current context of $KUBECONFIG, else of ~/.kube/config; or what is given.

        Raises PermanentError where there is no kubeconfig that can be read.
        """
        configuration = kubernetes.client.Configuration()
        load: Any = kubernetes.config.load_kube_config
        try:
            load(config_file=kubeconfig, context=context, client_configuration=configuration)
        except (kubernetes.config.ConfigException, OSError) as error:
            raise PermanentError(f"no cluster is named ({error}); set KUBECONFIG or give --kubeconfig") from error
        self.server: str = configuration.host
        """Address of the API server."""
        self.api = ApiServer("headrace-cli", configuration)

    def endpoints(self) -> list[Object]:
        """Every ModelEndpoint of the cluster, by name."""
        found = self._all(f"{_KINDS}/{names.MODEL_ENDPOINT_PLURAL}")
        return sorted(found, key=lambda item: item["metadata"]["name"])

    def endpoint(self, name: str) -> Object:
        """One ModelEndpoint; raises PermanentError with the names that there are."""
        namespace = names.endpoint_namespace(name)
        try:
            return self.api.get(f"{_KINDS}/namespaces/{namespace}/{names.MODEL_ENDPOINT_PLURAL}/{name}")
        except Missing as error:
            known = [item["metadata"]["name"] for item in self.endpoints()]
            there = f"there are {', '.join(known)}" if known else f"cluster {self.server} has none"
            raise PermanentError(f"endpoint = {name!r}, must be an endpoint of this cluster; {there}") from error

    def autoscalers(self, namespace: str = "") -> list[Object]:
        """The AutopilotPodAutoscalers of one namespace, or of all."""
        return self._all(f"{_KINDS}{_within(namespace)}/{names.APA_PLURAL}")

    def pods(self, namespace: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        """The pods of one namespace that carry the labels."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        return self._all(f"/api/v1{_within(namespace)}/pods", label_selector=selector)

    def deployments(self, namespace: str) -> list[Object]:
        """The Deployments of one namespace."""
        return self._all(f"/apis/apps/v1{_within(namespace)}/deployments")

    def nodes(self) -> list[Object]:
        """Every node."""
        return self._all("/api/v1/nodes")

    def events(self, namespace: str) -> list[Object]:
        """What happened in one namespace, as long as the cluster remembers (an hour, usually); oldest first."""
        return sorted(self._all(f"/api/v1{_within(namespace)}/events"), key=_time_of)

    def log_lines(
        self, namespace: str, pod: str, *, since_seconds: int, container: str = "", tail: int = 0, follow: bool = False
    ) -> Iterator[str]:
        """Lines that a container wrote, as they come, each after the time (RFC 3339) at which it came.

        `container`: empty for the pod's only one; `tail`: the last so many, 0 for all.
        """
        query = {"sinceSeconds": str(since_seconds), "timestamps": "true", "follow": str(follow).lower()}
        query |= {"container": container} if container else {}
        query |= {"tailLines": str(tail)} if tail else {}
        path = f"/api/v1{_within(namespace)}/pods/{pod}/log?{urlencode(query)}"
        for line in self.api.lines(path, seconds=_QUIET_SECONDS if follow else 30.0):
            yield line.decode(errors="replace")

    def platform(self) -> PlatformAddress:
        """Raises PermanentError where the cluster has no platform."""
        namespace, name = names.SYSTEM_NAMESPACE, names.PLATFORM_CONFIG_MAP
        try:
            data = self.api.get(f"/api/v1{_within(namespace)}/configmaps/{name}").get("data", {})
        except Missing as error:
            raise PermanentError(
                f"cluster {self.server} has no ConfigMap {namespace}/{name}, which a platform has; "
                "run `pulumi up` of a program with a ServingPlatform, or give another --context"
            ) from error
        return PlatformAddress(url=data.get(names.PLATFORM_URL_KEY, ""), ca_certificate=data.get(names.CA_KEY, ""))

    def token(self, service_account: str, *, seconds: int = 3600) -> str:
        """A token of the ServiceAccount NAMESPACE/NAME, with the platform's audience, valid for so long."""
        namespace, _, name = service_account.rpartition("/")
        path = f"/api/v1{_within(namespace or 'default')}/serviceaccounts/{name}/token"
        body = {"spec": {"audiences": [names.TOKEN_AUDIENCE], "expirationSeconds": seconds}}
        try:
            return str(self.api.send("POST", path, body)["status"]["token"])
        except Missing as error:
            raise PermanentError(
                f"--as = {service_account!r}, must be the NAMESPACE/NAME of a ServiceAccount of the cluster; "
                f"`kubectl -n {namespace or 'default'} get serviceaccounts` lists them"
            ) from error

    def may(self, verb: str, resource: str, *, group: str = "", namespace: str = "") -> bool:
        """Whether whoever runs the command has that right in the namespace, or in all."""
        attributes = {"verb": verb, "resource": resource, "group": group, "namespace": namespace}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.api.send("POST", path, {"spec": {"resourceAttributes": attributes}})
        return bool(answer["status"].get("allowed"))

    def _all(self, path: str, *, label_selector: str = "") -> list[Object]:
        return [item for items, _ in self.api.pages(path, label_selector=label_selector) for item in items]


def _within(namespace: str) -> str:
    return f"/namespaces/{namespace}" if namespace else ""


def _time_of(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp", ""))
