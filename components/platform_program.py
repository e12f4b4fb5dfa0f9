"""What each of the platform's programs consists of: identity, network policy, disruption budget, Deployment.

A function and not a component: the objects are children of the component that stands for the program.
"""

from collections.abc import Sequence

import pulumi

from headrace.components import manifests
from headrace.components.kubernetes_object import KubernetesObject
from headrace.contract import names

_START_SECONDS = 180
"""Pulling an image and hearing from the control plane take seconds; longer than this is a fault."""


def platform_program(
    program: str,
    *,
    name: str,
    parent: pulumi.Resource,
    labels: manifests.Labels,
    pod: manifests.Manifest,
    policy: manifests.Manifest,
    replicas: int,
    after: Sequence[pulumi.Resource] = (),
) -> KubernetesObject:
    """Registers the objects of `program` (a name of contract.names, and its account) and returns the Deployment.

    `name` is the parent's name; `pod` a pod template; the pods start after `policy` and everything in `after`.
    """
    space = names.SYSTEM_NAMESPACE
    selector = {names.COMPONENT_LABEL: program}
    child = pulumi.ResourceOptions(parent=parent)
    account = KubernetesObject(f"{name}-account", manifests.service_account(program, space, labels=labels), child)
    # Before the first pod: a policy that came later would leave the pod open for its first second.
    closed = KubernetesObject(f"{name}-policy", policy, child)
    KubernetesObject(
        f"{name}-budget", manifests.disruption_budget(program, space, labels=labels, selector=selector), child
    )
    return KubernetesObject(
        f"{name}-deployment",
        manifests.deployment(
            program,
            space,
            labels=labels,
            selector=selector,
            pod=pod,
            replicas=replicas,
            deadline_seconds=_START_SECONDS,
        ),
        pulumi.ResourceOptions(
            parent=parent,
            depends_on=[account, closed, *after],
            custom_timeouts=pulumi.CustomTimeouts(
                create="4m", update="4m", delete=f"{pod['spec']['terminationGracePeriodSeconds'] + 60}s"
            ),
        ),
    )
