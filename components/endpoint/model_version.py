"""ModelVersion: one version of an endpoint, and what the cluster holds for it: Deployment, Service, budget, bounds."""

from collections.abc import Mapping
from typing import Any

import pulumi

from headrace.components.endpoint import sizing, weights_pod
from headrace.components.endpoint.endpoint_scale import scale_object
from headrace.components.endpoint.endpoint_versions import VersionInputs
from headrace.components.endpoint.model_image import ModelImage
from headrace.components.endpoint.model_pod import PodNeeds, grace_seconds, model_pod
from headrace.components.endpoint.pod_needs import EndpointObjects
from headrace.components.endpoint.selection.choice import RuntimeRequest
from headrace.components.kubernetes import manifests
from headrace.components.kubernetes.object import KubernetesObject
from headrace.contract import names
from headrace.contract.codec import decode
from headrace.contract.model_endpoint import ServedVersion


class ModelVersion:
    """What one version is, which is known in a preview; `placed` makes its objects."""

    def __init__(self, asked: VersionInputs, image: ModelImage, *, start_seconds: int | None) -> None:
        """`start_seconds` as in the endpoint's inputs."""
        choice, source = image.choice, image.source
        self.asked, self.image = asked, image
        self.name: str = image.version_name if asked.name is None else asked.name
        self.allotment = sizing.allotment(
            choice.runtime,
            source.size_bytes,
            flavors=source.flavors,
            gpus=choice.gpus,
            cpu=asked.cpu,
            memory_mib=asked.memory_mib,
        )
        self.gpu_memory_gib = decode(RuntimeRequest, asked.runtime).gpu_memory_gib
        """Memory of one GPU of the kind that the pods ask for; of no meaning where they ask for none."""
        self.reasons = (*choice.reasons, self.allotment.memory_reason)
        self._load_seconds = (
            sizing.start_seconds(choice.runtime, source.size_bytes) if start_seconds is None else start_seconds
        )
        self.start_seconds = self._load_seconds + (
            0 if image.weights is None else weights_pod.copy_seconds(image.weights)
        )
        """How long a pod may take to be ready: what it copies first, and loading."""

    def served(self, image: str) -> ServedVersion:
        """The version as the endpoint's object has it; `image` is its reference."""
        return ServedVersion(
            name=self.name,
            model_uri=self.asked.model_uri,
            image=image,
            weight=self.asked.weight,
            shadow=self.asked.shadow,
            runtime=self.image.choice.runtime,
            reasons=self.reasons,
        )

    def placed(
        self,
        objects: EndpointObjects,
        needs: PodNeeds,
        *,
        timeout_seconds: float,
        stopped: bool | None,
        platform: pulumi.Output[Mapping[str, Any]],
        after: pulumi.ResourceOptions,
    ) -> KubernetesObject:
        """Makes the objects, and returns the Deployment; `after`: of what must be there before pods are.

        The Deployment is deleted by itself: current providers wait for its pods then, and a namespace without pods goes
        at once. One with pods would be looked at again only after half of the pods' grace.
        """
        endpoint, namespace, version = objects.name, objects.namespace, self.name
        labels = {**objects.labels, names.VERSION_LABEL: version}
        selector = {names.ENDPOINT_LABEL: endpoint, names.VERSION_LABEL: version}
        budget = manifests.disruption_budget(version, namespace, labels=labels, selector=selector)
        KubernetesObject(f"{endpoint}-{version}-budget", budget, objects.inside)
        ports = [manifests.service_port("http", names.FRONT_PORT, protocol="http")]
        made = manifests.service(version, namespace, labels=labels, selector=selector, ports=ports)
        service = KubernetesObject(f"{endpoint}-{version}-service", made, objects.inside)
        self.pod = model_pod(
            endpoint=endpoint,
            version=version,
            image=self.image.image,
            labels=labels,
            allotment=self.allotment,
            timeout_seconds=timeout_seconds,
            start_seconds=self._load_seconds,
            engine=self.image.choice.engine,
            needs=needs,
        )
        wanted = manifests.deployment(
            version,
            namespace,
            labels=labels,
            selector=selector,
            pod=self.pod,
            replicas=None,
            deadline_seconds=self.start_seconds + 30,  # scheduling and pulling come before the pod's own start
        )
        started, gone = self.start_seconds + 60, grace_seconds(timeout_seconds) + 60
        patience = pulumi.ResourceOptions(
            ignore_changes=["spec.replicas"],  # the autoscaler's
            custom_timeouts=pulumi.CustomTimeouts(create=f"{started}s", update=f"{started}s", delete=f"{gone}s"),
        )
        deployment = KubernetesObject(
            f"{endpoint}-{version}-deployment", wanted, pulumi.ResourceOptions.merge(after, patience)
        )
        bounds = scale_object(
            version,
            namespace,
            labels=labels,
            scale=self.asked.scale,
            stopped=stopped,
            platform=platform,
            node_selector=needs.spec.get("nodeSelector", {}),
            allotment=self.allotment,
            gpu_memory_gib=self.gpu_memory_gib,
        )
        # Deleted by itself, so that the autoscaler lets go of the Deployment before that goes.
        scaled = pulumi.ResourceOptions(parent=objects.parent, depends_on=[service, deployment])
        KubernetesObject(f"{endpoint}-{version}-autoscaler", bounds, scaled)
        return deployment
