"""ModelEndpoint: the front door. One registered model behind one stable address.

It creates the endpoint's namespace and, for the version that `model_uri` names, the image, Deployment and Service;
and the ModelEndpoint object, which names that version. The control plane moves the traffic when the version answers,
and Pulumi deletes what served before only after its Deployment was ready. The object waits for nothing, so that its
status says why a version does not start. `spec.replicas` is not set: the autoscaler owns it.
"""

import asyncio
import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pulumi

from headrace.components.endpoint import (
    endpoint_egress,
    endpoint_environment,
    endpoint_volumes,
    model_demands,
    model_source,
    proof_report,
    sizing,
)
from headrace.components.endpoint.endpoint_environment import EXTERNAL_SECRETS, Environment
from headrace.components.endpoint.endpoint_inputs import CheckedInputs, CheckedQuota, ModelEndpointArgs, read_inputs
from headrace.components.endpoint.endpoint_scale import scale_grant, scale_object
from headrace.components.endpoint.model_image import ModelImage, ModelImageArgs
from headrace.components.endpoint.model_pod import ACCOUNT, PodNeeds, grace_seconds, model_pod
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.endpoint.runtime_choice import choose
from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.kubernetes.network_policies import CILIUM
from headrace.components.kubernetes.object import KubernetesObject, ObjectStatus, ServedApi
from headrace.components.platform.management import pods_grant
from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.contract.model_endpoint import ServedVersion

_PLATFORM_ANNOTATION: Final = f"{names.API_GROUP}/platform"


class ModelEndpoint(pulumi.ComponentResource):
    """Serves one registered model behind one address; the resource's name is the endpoint's name."""

    url: pulumi.Output[str]
    """Address of the endpoint: POST {url}/invocations."""
    version: pulumi.Output[str]
    """Name of the version that serves, for example v7."""
    image: pulumi.Output[str]
    """Image of that version, pinned by digest."""
    runtime_kind: pulumi.Output[str]
    """What serves it: mlflow, vllm, triton or custom."""
    namespace: pulumi.Output[str]
    """Namespace of the endpoint, where the Secrets and claims are that its inputs name."""

    def __init__(
        self,
        name: str,
        args: ModelEndpointArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        source: ModelSource | None = None,
    ) -> None:
        """`source` is what require_servable found for it, where the program has asked already."""
        spec = CheckedInputs.checked(name, args)
        super().__init__("headrace:index:ModelEndpoint", name, dict(args), opts)
        platform = pulumi.Output.from_input(spec.platform)
        labels = {**manifests.standard_labels("model", spec.labels), names.ENDPOINT_LABEL: name}
        image = self._model_image(name, spec, platform, source)
        environment = endpoint_environment.parsed(spec.environment)
        apis = self._needed_apis(name, spec, environment)
        space, closed = self._closed_namespace(name, spec, labels, platform, [image, *apis])
        after = pulumi.ResourceOptions(parent=self, depends_on=closed)
        inside = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(deleted_with=space))
        allotment = sizing.allotment(
            image.choice.runtime,
            image.source.size_bytes,
            flavors=image.source.flavors,
            gpus=image.choice.gpus,
            cpu=spec.cpu,
            memory_mib=spec.memory_mib,
        )
        reasons = (*image.choice.reasons, allotment.memory_reason)
        namespace, version = names.endpoint_namespace(name), image.version_name
        its_labels = {**labels, names.VERSION_LABEL: version}
        needs, filled = self._needs(name, spec, labels, environment, inside)
        after_secrets = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=filled))
        ready = self._served_version(
            name, spec, its_labels, image, allotment, needs=needs, after=after_secrets, inside=inside
        )
        bounds = scale_object(version, namespace, labels=its_labels, scale=spec.scale, platform=platform)
        # Deleted by itself, so that the autoscaler lets go of the Deployment before that goes.
        scaled = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(depends_on=ready))
        KubernetesObject(f"{name}-scale-binding", scale_grant(namespace, labels=labels), inside)
        KubernetesObject(f"{name}-pods-binding", pods_grant(namespace, labels=labels), inside)
        KubernetesObject(f"{name}-{version}-autoscaler", bounds, scaled)
        served = partial(
            ServedVersion, name=version, model_uri=spec.model_uri, runtime=image.choice.runtime, reasons=reasons
        )
        written = image.image.apply(lambda known: replace(spec.endpoint, versions=(served(image=known),)).to_json())
        endpoint = manifests.custom_object(names.MODEL_ENDPOINT_KIND, name, namespace, labels=labels, spec=written)
        # Deleted by itself, at once with the pods: they answer for seconds after being told to go, in which the routes
        # are gone.
        written_object = KubernetesObject(f"{name}-endpoint", endpoint, after)
        self._tell_proof(name, version, image.image, deployment=ready[-1], endpoint=written_object)
        path = names.invocations_path(name).removesuffix("/invocations")
        self.url = pulumi.Output.concat(platform["url"], path)
        self.version = pulumi.Output.from_input(version)
        self.image = image.image
        self.runtime_kind = pulumi.Output.from_input(image.choice.runtime.value)
        self.namespace = space.metadata.apply(lambda _: namespace)  # once it is there
        pulumi.log.info(f"{image.choice.runtime}: {'; '.join(reasons)}", self)
        for demand in model_demands.not_granted(image.source.mlmodel, environment.names, spec.egress):
            pulumi.log.warn(demand, self)
        outputs = ("url", "version", "image", "runtime_kind", "namespace")
        self.register_outputs({output: getattr(self, output) for output in outputs})

    def _tell_proof(
        self, name: str, version: str, image: pulumi.Output[str], *, deployment: KubernetesObject,
        endpoint: KubernetesObject,
    ) -> None:  # fmt: skip
        """Prints what the version's pod has proven, as the object's status says by the end of the update."""
        kind = {"apiVersion": f"{names.API_GROUP}/{names.API_VERSION}", "kind": names.MODEL_ENDPOINT_KIND}
        place = f"{names.endpoint_namespace(name)}/{name}"

        async def when_told(settled: list[Any]) -> str:
            await asyncio.sleep(proof_report.wait_seconds(settled[0], datetime.datetime.now(datetime.UTC)))
            return place

        known: pulumi.Output[list[Any]] = pulumi.Output.all(deployment.status, endpoint.metadata)
        found: pulumi.Output[str] = known.apply(when_told)
        read = ObjectStatus(f"{name}-proof", kind, found, pulumi.ResourceOptions(parent=self))

        def tell(read_now: list[Any]) -> None:
            if not pulumi.runtime.is_dry_run():
                status, pinned = read_now
                pulumi.log.info(proof_report.sentence(status, version=version, image=pinned, place=place), self)

        pulumi.Output.all(read.status, image).apply(tell)

    def _model_image(
        self, name: str, spec: CheckedInputs, platform: pulumi.Output[Any], source: ModelSource | None
    ) -> ModelImage:
        args: ModelImageArgs = {
            "model_uri": spec.model_uri,
            "delivery": platform["image_delivery"],
            "base": platform["image_base"],
            "runtime": spec.runtime,
        }
        if spec.tracking_uri is not None:
            args["tracking_uri"] = spec.tracking_uri
        return ModelImage(f"{name}-image", args, pulumi.ResourceOptions(parent=self), source=source)

    def _needed_apis(self, name: str, spec: CheckedInputs, environment: Environment) -> list[pulumi.Resource]:
        """What the cluster must have for some of the inputs, looked for before anything is made."""
        hosts = ", ".join(rule.host for rule in spec.egress if rule.host is not None)
        variables = ", ".join(sorted(environment.paths))
        wanted = {
            CILIUM: hosts and f"egress to {hosts} needs Cilium in the cluster, which knows names; else give cidr",
            EXTERNAL_SECRETS: variables
            and f"environment[{variables}] needs the External Secrets Operator in the "
            "cluster, from version 0.16 on; else give Pulumi secrets",
        }
        found: list[pulumi.Resource] = []
        for api, sentence in wanted.items():
            if sentence:
                group, _, version = api.partition("/")
                pulumi.log.info(f"{sentence}. A cluster without it has no '{version}.{group}'.", self)
                found.append(ServedApi(f"{name}-needs-{group}", api, pulumi.ResourceOptions(parent=self)))
        return found

    def _closed_namespace(
        self,
        name: str,
        spec: CheckedInputs,
        labels: manifests.Labels,
        platform: pulumi.Output[Any],
        first: Sequence[pulumi.Resource],
    ) -> tuple[KubernetesObject, list[KubernetesObject]]:
        """The namespace, and what must be in it before the first pod, which a later policy would leave open."""
        namespace = names.endpoint_namespace(name)
        # The annotation carries the dependency on the platform's kinds.
        annotations = {_PLATFORM_ANNOTATION: platform["namespace"]}
        made = manifests.namespace(namespace, labels=labels, annotations=annotations)
        # Where pods are left, Kubernetes looks at once and again after each half of their grace.
        seconds = grace_seconds(spec.endpoint.timeout_seconds) * 3 // 2 + 60
        patience = pulumi.CustomTimeouts(delete=f"{seconds}s")
        # After the image, among others: a model that cannot be built leaves nothing in the cluster.
        later = pulumi.ResourceOptions(parent=self, depends_on=first, custom_timeouts=patience)
        space = KubernetesObject(f"{name}-namespace", made, later)
        # Deleted with the namespace and not before it: Kubernetes keeps the policies until the last pod is gone.
        inside = pulumi.ResourceOptions(parent=self, depends_on=[space], deleted_with=space)
        by_name = endpoint_egress.rules_by_name(spec.egress)
        policy = network_policies.model_pods(
            namespace,
            labels=labels,
            egress=endpoint_egress.rules_of_policy(spec.egress),
            resolves_names=bool(spec.egress) and not by_name,  # Cilium must read the answers to names that it allows
        )
        account = manifests.service_account(
            ACCOUNT, namespace, labels=labels, annotations=spec.service_account.annotations
        )
        closed = [
            KubernetesObject(f"{name}-deny-all", network_policies.deny_all(namespace, labels=labels), inside),
            KubernetesObject(f"{name}-policy", policy, inside),
            KubernetesObject(f"{name}-account", account, inside),
        ]
        if by_name:
            hosts = network_policies.named_destinations(namespace, labels=labels, egress=by_name)
            closed.append(KubernetesObject(f"{name}-hosts", hosts, inside))
        if hard := _hard_limits(spec.quota):
            quota = manifests.resource_quota("endpoint", namespace, labels=labels, hard=hard)
            closed.append(KubernetesObject(f"{name}-quota", quota, inside))
        return space, closed

    def _needs(
        self,
        name: str,
        spec: CheckedInputs,
        labels: manifests.Labels,
        environment: Environment,
        inside: pulumi.ResourceOptions,
    ) -> tuple[PodNeeds, list[KubernetesObject]]:
        """What the inputs add to the pods, and the objects that hold its secrets."""
        namespace = names.endpoint_namespace(name)
        filled, secret_name = [], pulumi.Output.from_input("")
        if environment.outputs:
            values = endpoint_environment.secret_of_outputs(name, namespace, environment, labels=labels)
            # Made anew and deleted after the pods that name it, so that those before keep theirs until they are gone.
            once = pulumi.ResourceOptions(replace_on_changes=["data"], additional_secret_outputs=["data", "stringData"])
            secret = KubernetesObject(f"{name}-environment", values, pulumi.ResourceOptions.merge(inside, once))
            # Metadata may repeat the data in an annotation, and counts as secret then.
            secret_name = pulumi.Output.unsecret(secret.metadata["name"])
            filled.append(secret)
        for target, asked in endpoint_environment.external_secrets(namespace, environment, labels=labels).items():
            filled.append(KubernetesObject(f"{name}-{target}", asked, inside))
        placed = {"nodeSelector": dict(spec.node_selector), "priorityClassName": spec.priority_class}
        needs = PodNeeds(
            environment=endpoint_environment.entries(environment, secret_name),
            labels=spec.service_account.pod_labels,
            annotations=endpoint_volumes.pod_annotations(spec.volumes),
            volumes=endpoint_volumes.pod_volumes(spec.volumes),
            mounts=endpoint_volumes.mounts(spec.volumes),
            tolerations=[toleration.manifest() for toleration in spec.tolerations],
            spec={field: value for field, value in placed.items() if value},
        )
        return needs, filled

    def _served_version(
        self,
        name: str,
        spec: CheckedInputs,
        labels: manifests.Labels,
        image: ModelImage,
        allotment: sizing.Allotment,
        *,
        needs: PodNeeds,
        after: pulumi.ResourceOptions,
        inside: pulumi.ResourceOptions,
    ) -> list[KubernetesObject]:
        """Deployment, Service and budget of the version; returns what the autoscaler must wait for.

        The Deployment is deleted by itself: current providers wait for its pods then, and a namespace without pods goes
        at once. One with pods would be looked at again only after half of the pods' grace.
        """
        namespace, version = names.endpoint_namespace(name), image.version_name
        selector = {names.ENDPOINT_LABEL: name, names.VERSION_LABEL: version}
        budget = manifests.disruption_budget(version, namespace, labels=labels, selector=selector)
        KubernetesObject(f"{name}-{version}-budget", budget, inside)
        ports = [manifests.service_port("http", names.FRONT_PORT, protocol="http")]
        service = manifests.service(version, namespace, labels=labels, selector=selector, ports=ports)
        choice, start_seconds = image.choice, spec.start_seconds
        if start_seconds is None:
            start_seconds = sizing.start_seconds(choice.runtime, image.source.size_bytes)
        pod = model_pod(
            endpoint=name,
            version=version,
            image=image.image,
            labels=labels,
            allotment=allotment,
            timeout_seconds=spec.endpoint.timeout_seconds,
            start_seconds=start_seconds,
            engine=choice.engine,
            needs=needs,
        )
        deployment = manifests.deployment(
            version,
            namespace,
            labels=labels,
            selector=selector,
            pod=pod,
            replicas=None,
            deadline_seconds=start_seconds + 30,  # scheduling and pulling come before the pod's own start
        )
        started, gone = start_seconds + 60, grace_seconds(spec.endpoint.timeout_seconds) + 60
        patience = pulumi.ResourceOptions(
            ignore_changes=["spec.replicas"],  # the autoscaler's
            custom_timeouts=pulumi.CustomTimeouts(create=f"{started}s", update=f"{started}s", delete=f"{gone}s"),
        )
        return [
            KubernetesObject(f"{name}-{version}-service", service, inside),
            KubernetesObject(f"{name}-{version}-deployment", deployment, pulumi.ResourceOptions.merge(after, patience)),
        ]


def require_servable(endpoints: Mapping[str, Mapping[str, Any]]) -> dict[str, ModelSource]:
    """The model of every endpoint, given as name and inputs (`platform` may be missing).

    Raises ArgsError with every fault of every endpoint. It asks the tracking servers, for several models at a time: a
    program that calls it first stops on a model that does not exist or cannot be served before anything is registered.
    """
    faults = {
        name: [*checks.endpoint_name("name", name), *read_inputs({"platform": "given later", **args})[1]]
        for name, args in endpoints.items()
    }
    asked = {
        name: (args["model_uri"], args.get("tracking_uri", "")) for name, args in endpoints.items() if not faults[name]
    }
    found = model_source.resolve_all(asked.values())
    sources: dict[str, ModelSource] = {}
    for name, model in asked.items():
        try:
            source = found[model]
            if isinstance(source, HeadraceError):
                raise source
            choose(source.mlmodel, endpoints[name].get("runtime", {}))
            sources[name] = source
        except HeadraceError as error:
            faults[name].append(str(error))
    checks.require("Endpoints", [f"{name}: {fault}" for name, told in faults.items() for fault in told])
    return sources


def _hard_limits(quota: CheckedQuota) -> dict[str, str]:
    limits = {
        "limits.cpu": None if quota.cpu is None else f"{round(quota.cpu * 1000)}m",
        "limits.memory": None if quota.memory_mib is None else f"{quota.memory_mib}Mi",
        "pods": None if quota.pods is None else str(quota.pods),
    }
    return {name: most for name, most in limits.items() if most is not None}
