"""A controller: a program of the platform that talks to the API server, from its rights to its Service.

Each is a component of its own, so that a program can be given alone; what they have in common is here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import api_server, checks, manifests
from headrace.components.kubernetes.manifests import Manifest
from headrace.components.kubernetes.object import KubernetesObject
from headrace.components.platform.controller_pod import controller_pod
from headrace.components.platform.platform_program import address, platform_program
from headrace.contract import names
from headrace.contract.telemetry import ENV_LOG_COLLECTOR

READ: Final = ["get", "list", "watch"]
"""The verbs of who keeps a copy of a kind."""
LEASE_RULES: Final[list[Manifest]] = [
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
]
"""What a controller of several copies needs in its own namespace, so that one leads."""


class ControllerArgs(TypedDict):
    """Inputs of a controller."""

    image: pulumi.Input[str]
    """Image of the control plane, which holds all controllers, pinned by digest."""
    replicas: NotRequired[int]
    """Copies. Default 2, so that a lost node leaves one that works."""
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    log_collector: NotRequired[str]
    """Host and port of a Collector that takes lines of the log, OTLP over HTTP. Absent: they are in the pods alone."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A ClusterRole of these rules, and its binding to the controller's account."""

    role: str
    rules: Sequence[Manifest]
    key: str = ""
    """What the resources' names have after the component's, as "-lease"."""
    namespace: str | None = None
    """Where the role is bound; None: everywhere."""


def lease_grant(role: str) -> Grant:
    """The right to lead, in the platform's namespace."""
    return Grant(role=role, rules=LEASE_RULES, key="-lease", namespace=names.SYSTEM_NAMESPACE)


@dataclass(frozen=True, kw_only=True)
class Controller:
    """What tells one controller from another."""

    program: str
    """A name of contract.names."""
    module: str
    """The program is `python -m headrace.<module>`."""
    grants: tuple[Grant, ...]
    policy: Callable[..., Manifest]
    """Its NetworkPolicy, of a namespace, `labels` and the rules by which it reaches the API server, `api_server`."""
    port_name: str = "health"
    """Of its Service."""
    port: int = names.CONTROL_HEALTH_PORT
    protocol: str = "http"
    """Of that port, as the Service's `appProtocol`."""

    @property
    def address(self) -> str:
        """Host and port of its Service inside the cluster."""
        return address(self.program, self.port)

    def register(
        self,
        component: pulumi.Resource,
        name: str,
        args: Mapping[str, Any],
        *,
        environment: Mapping[str, str] | None = None,
        volumes: Sequence[tuple[Manifest, Manifest]] = (),
        memory: str = "256Mi",
        after: Sequence[pulumi.Resource] = (),
        replicas: int | None = None,
        is_exclusive: bool = False,
    ) -> KubernetesObject:
        """Registers all objects of the controller below `component`, called `name`, and returns the Service.

        `args` are checked ControllerArgs; `environment`, `volumes` and `memory` are as in `controller_pod`, `after` and
        `is_exclusive` as in `platform_program`, and `replicas` stand before those of `args`.
        """
        child = pulumi.ResourceOptions(parent=component)
        labels = manifests.standard_labels(self.program, args.get("labels", {}))
        bound = [self._granted(grant, name, labels=labels, parent=component) for grant in self.grants]
        way = api_server.api_server_rules(name, child, args.get("api_server_addresses", ()))
        logs = {ENV_LOG_COLLECTOR: args["log_collector"]} if "log_collector" in args else {}
        ports = {} if self.port == names.CONTROL_HEALTH_PORT else {self.port_name: self.port}
        pod = controller_pod(
            self.program, module=self.module, image=args["image"], labels=labels, ports=ports,
            environment={**(environment or {}), **logs}, volumes=volumes, memory=memory,
        )  # fmt: skip
        return platform_program(
            self.program,
            name=name,
            parent=component,
            labels=labels,
            pod=pod,
            policy=self.policy(names.SYSTEM_NAMESPACE, labels=labels, api_server=way),
            replicas=_replicas(args) if replicas is None else replicas,
            port=manifests.service_port(self.port_name, self.port, protocol=self.protocol),
            after=[*bound, *after],
            is_exclusive=is_exclusive,
        )

    def _granted(
        self, grant: Grant, name: str, *, labels: manifests.Labels, parent: pulumi.Resource
    ) -> KubernetesObject:
        made = manifests.cluster_role(grant.role, labels=labels, rules=grant.rules)
        role = KubernetesObject(f"{name}{grant.key}-role", made, pulumi.ResourceOptions(parent=parent))
        binding = manifests.role_binding(grant.role, self.program, labels=labels, namespace=grant.namespace)
        after = pulumi.ResourceOptions(parent=parent, depends_on=[role])
        return KubernetesObject(f"{name}{grant.key}-binding", binding, after)


def require(kind: str, name: str, args: Mapping[str, Any], *more: Iterable[str], shape: type = ControllerArgs) -> None:
    """Raises InputError with every fault of ControllerArgs, or of another `shape` that has these fields and its own.

    `more` are faults of its own fields.
    """
    checks.require(
        f"{kind} '{name}'",
        checks.known_keys(args, shape.__annotations__),
        checks.present(args, "image"),
        checks.at_least("replicas", _replicas(args), 1),
        api_server.block_faults("api_server_addresses", args.get("api_server_addresses", [])),
        checks.labels("labels", args.get("labels", {})),
        *more,
    )


def _replicas(args: Mapping[str, Any]) -> int:
    return int(args.get("replicas", manifests.REPLICAS))
