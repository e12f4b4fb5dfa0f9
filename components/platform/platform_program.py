"""The objects of each of the platform's programs: identity, NetworkPolicy, files, budget, Deployment and Service.

A function and not a component: the objects are children of the component that stands for the program.
"""

from collections.abc import Mapping, Sequence

import pulumi

from headrace.components.kubernetes import manifests
from headrace.components.kubernetes.object import KubernetesObject
from headrace.contract import names

_START_SECONDS = 180
"""Seconds until a rollout counts as failed; pulling an image and getting a configuration take seconds."""


def platform_program(
    program: str,
    *,
    name: str,
    parent: pulumi.Resource,
    labels: manifests.Labels,
    pod: manifests.Manifest,
    policy: manifests.Manifest,
    replicas: int,
    port: manifests.Manifest,
    more_ports: Sequence[manifests.Manifest] = (),
    service_type: str = "ClusterIP",
    files: Mapping[str, str] | None = None,
    after: Sequence[pulumi.Resource] = (),
    is_exclusive: bool = False,
) -> KubernetesObject:
    """Registers the objects of `program` (a name of contract.names, and its account) and returns the Service.

    `name` is the parent's name; `pod` a pod template, which may mount the ConfigMap `program` with `files`; `port` the
    first of the Service. The pods start after `policy`, the files and everything in `after`; one that
    `is_exclusive` after the one before has ended.
    """
    space = names.SYSTEM_NAMESPACE
    selector = {names.COMPONENT_LABEL: program}
    child = pulumi.ResourceOptions(parent=parent)
    account = KubernetesObject(f"{name}-account", manifests.service_account(program, space, labels=labels), child)
    # Before the first pod: a policy that came later would not restrict the pod in its first second.
    closed = KubernetesObject(f"{name}-policy", policy, child)
    before: list[pulumi.Resource] = [account, closed, *after]
    if files is not None:
        config = manifests.config_map(program, space, labels=labels, data=files)
        before.append(KubernetesObject(f"{name}-config", config, child))
    budget = manifests.disruption_budget(program, space, labels=labels, selector=selector)
    KubernetesObject(f"{name}-budget", budget, child)
    deployment = manifests.deployment(
        program, space, labels=labels, selector=selector, pod=pod, replicas=replicas, deadline_seconds=_START_SECONDS,
        is_exclusive=is_exclusive,
    )  # fmt: skip
    patience = pulumi.CustomTimeouts(
        create="4m", update="4m", delete=f"{pod['spec']['terminationGracePeriodSeconds'] + 60}s"
    )
    started = pulumi.ResourceOptions(parent=parent, depends_on=before, custom_timeouts=patience)
    KubernetesObject(f"{name}-deployment", deployment, started)
    service = manifests.service(
        program, space, labels=labels, selector=selector, ports=[port, *more_ports], service_type=service_type
    )
    return KubernetesObject(f"{name}-service", service, child)


def address(program: str, port: int) -> str:
    """Host and port of the program's Service inside the cluster."""
    return f"{program}.{names.SYSTEM_NAMESPACE}.svc:{port}"
