"""PodNeeds: what an endpoint's inputs add to its pods, and the objects that those parts of pods name."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import pulumi

from headrace.components.endpoint import endpoint_environment, endpoint_volumes, weights_pod
from headrace.components.endpoint.endpoint_environment import Environment
from headrace.components.endpoint.endpoint_inputs import CheckedInputs
from headrace.components.endpoint.endpoint_placement import affinity_to_architectures
from headrace.components.endpoint.endpoint_weights import WeightsPlan
from headrace.components.endpoint.model_pod import PodNeeds
from headrace.components.endpoint.sizing import Allotment
from headrace.components.kubernetes.manifests import Labels, Manifest
from headrace.components.kubernetes.object import KubernetesObject
from headrace.contract import names


class Variables(NamedTuple):
    """Of one container."""

    entries: list[Manifest]
    """Its `env`."""
    filled: list[KubernetesObject]
    """What holds its secrets."""


@dataclass(frozen=True, kw_only=True)
class EndpointObjects:
    """Where the objects of one endpoint go."""

    name: str
    """The endpoint's."""
    labels: Labels
    parent: pulumi.Resource
    inside: pulumi.ResourceOptions
    """Of what is in its namespace."""

    @property
    def namespace(self) -> str:
        return names.endpoint_namespace(self.name)


def of_inputs(
    objects: EndpointObjects, spec: CheckedInputs, environment: Environment
) -> tuple[PodNeeds, list[KubernetesObject]]:
    """What the inputs add to the pods of every version, and the objects that hold its secrets."""
    entries, filled = _variables(objects, "environment", environment)
    placed = {"nodeSelector": dict(spec.node_selector), "priorityClassName": spec.priority_class}
    needs = PodNeeds(
        environment=entries,
        labels=spec.service_account.pod_labels,
        annotations=endpoint_volumes.pod_annotations(spec.volumes),
        volumes=endpoint_volumes.pod_volumes(spec.volumes),
        mounts=endpoint_volumes.mounts(spec.volumes),
        tolerations=[toleration.manifest() for toleration in spec.tolerations],
        spec={field: value for field, value in placed.items() if value},
    )
    return needs, filled


def on(architectures: pulumi.Output[list[str]], needs: PodNeeds) -> PodNeeds:
    """The needs of pods of an image that runs on these processors."""
    return replace(needs, spec={"affinity": architectures.apply(affinity_to_architectures), **needs.spec})


def for_weights(objects: EndpointObjects, spec: CheckedInputs, plan: WeightsPlan) -> Variables:
    """What containers that copy weights share, whichever version's they copy."""
    environment = endpoint_environment.parsed(spec.weights.environment)
    entries, filled = _variables(objects, "weights-environment", environment)
    if plan.cache is not None and plan.cache.node_path is not None:
        given, asked = weights_pod.node_volume(plan.cache, objects.namespace, labels=objects.labels)
        # Not inside of the namespace, which knows nothing of it: it must be deleted by itself.
        directory = KubernetesObject(
            f"{objects.name}-weights-volume", given, pulumi.ResourceOptions(parent=objects.parent)
        )
        claimed = pulumi.ResourceOptions.merge(objects.inside, pulumi.ResourceOptions(depends_on=[directory]))
        filled.append(KubernetesObject(f"{objects.name}-weights", asked, claimed))
    return Variables(entries, filled)


def with_weights(
    needs: PodNeeds, plan: WeightsPlan, allotment: Allotment, entries: list[Manifest], *, endpoint: str
) -> PodNeeds:
    """The needs of pods that copy a large model's weights before it starts; `entries` are those of `for_weights`."""
    return replace(
        needs,
        before=[weights_pod.init_container(plan, entries, allotment, endpoint=endpoint)],
        volumes=[*needs.volumes, weights_pod.volume(plan)],
        mounts=[*needs.mounts, weights_pod.mount(plan, endpoint=endpoint)],
        spec={**needs.spec, "securityContext": weights_pod.pod_security()},
    )


def _variables(objects: EndpointObjects, suffix: str, environment: Environment) -> Variables:
    namespace, labels = objects.namespace, objects.labels
    filled, secret_name = [], pulumi.Output.from_input("")
    if environment.outputs:
        values = endpoint_environment.secret_of_outputs(objects.name, namespace, environment, labels=labels)
        # Made anew and deleted after the pods that name it, so that those before keep theirs until they are gone.
        once = pulumi.ResourceOptions(replace_on_changes=["data"], additional_secret_outputs=["data", "stringData"])
        inside = pulumi.ResourceOptions.merge(objects.inside, once)
        secret = KubernetesObject(f"{objects.name}-{suffix}", values, inside)
        # Metadata may repeat the data in an annotation, and counts as secret then.
        secret_name = pulumi.Output.unsecret(secret.metadata["name"])
        filled.append(secret)
    for target, asked in endpoint_environment.external_secrets(namespace, environment, labels=labels).items():
        filled.append(KubernetesObject(f"{objects.name}-{target}", asked, objects.inside))
    return Variables(endpoint_environment.entries(environment, secret_name), filled)
