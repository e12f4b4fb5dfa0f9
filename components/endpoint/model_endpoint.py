"""ModelEndpoint: the front door. One registered model, or several versions of it, behind one stable address.

It creates the endpoint's namespace and, for each version that the inputs name, the image, Deployment and Service; and
the ModelEndpoint object, which names those versions. The control plane moves the traffic when the version answers,
and Pulumi deletes what served before only after its Deployment was ready. The object waits for nothing, so that its
status says why a version does not start. `spec.replicas` is not set: the autoscaler owns it.
"""

import asyncio
import datetime
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pulumi

from headrace.components.endpoint import (
    endpoint_attestation,
    endpoint_egress,
    endpoint_environment,
    endpoint_recording,
    endpoint_rollout,
    endpoint_telemetry,
    endpoint_volumes,
    model_demands,
    model_source,
    pod_needs,
    proof_report,
)
from headrace.components.endpoint.endpoint_egress import EgressRule
from headrace.components.endpoint.endpoint_environment import EXTERNAL_SECRETS, Environment
from headrace.components.endpoint.endpoint_inputs import CheckedInputs, CheckedQuota, ModelEndpointArgs, read_inputs
from headrace.components.endpoint.endpoint_placement import wanted_architectures
from headrace.components.endpoint.endpoint_plan import EndpointPlan
from headrace.components.endpoint.endpoint_scale import scale_grant
from headrace.components.endpoint.endpoint_versions import VersionInputs
from headrace.components.endpoint.model_image import ModelImage, ModelImageArgs, image_name
from headrace.components.endpoint.model_pod import ACCOUNT, PodNeeds, grace_seconds
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.endpoint.model_version import ModelVersion
from headrace.components.endpoint.pod_needs import EndpointObjects
from headrace.components.endpoint.runtime_choice import choose
from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.kubernetes.network_policies import CILIUM
from headrace.components.kubernetes.object import KubernetesObject, ObjectStatus, ServedApi
from headrace.components.platform.management import pods_grant
from headrace.contract import names
from headrace.contract.errors import HeadraceError
from headrace.contract.model_endpoint import ModelEndpointSpec

_PLATFORM_ANNOTATION: Final = f"{names.API_GROUP}/platform"


class ModelEndpoint(pulumi.ComponentResource):
    """Serves a registered model, or several versions, behind one address; the resource's name is the endpoint's."""

    url: pulumi.Output[str]
    """Address of the endpoint: POST {url}/invocations."""
    version: pulumi.Output[str]
    """Name of the version that serves, for example v7; of several, that with the greatest weight."""
    image: pulumi.Output[str]
    """Image of that version, pinned by digest."""
    runtime_kind: pulumi.Output[str]
    """What serves it: mlflow, vllm, triton or custom."""
    namespace: pulumi.Output[str]
    """Namespace of the endpoint, where the Secrets and claims are that its inputs name."""
    evidence: pulumi.Output[Mapping[str, Any]]
    """What is known of the version here: model, image, what its pod has proven; not signed. `headrace.stacks.promotion`
    signs it for the next stack."""

    def __init__(
        self,
        name: str,
        args: ModelEndpointArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        sources: Mapping[str, ModelSource] | None = None,
    ) -> None:
        """`sources` is what require_servable found for it, by model_uri, where the program has asked already."""
        spec = CheckedInputs.checked(name, args)
        super().__init__("headrace:index:ModelEndpoint", name, dict(args), opts)
        platform = pulumi.Output.from_input(spec.platform).apply(
            partial(endpoint_volumes.on_platform, name, spec.volumes)
        )
        labels = {**manifests.standard_labels("model", spec.labels), names.ENDPOINT_LABEL: name}
        versions = self._versions(name, spec, platform, {} if sources is None else sources)
        images = [version.image for version in versions]
        environment = endpoint_environment.parsed(spec.environment)
        weights = [image.weights for image in images if image.weights is not None]
        stores = [rule for plan in weights for rule in plan.egress]
        egress = (*spec.egress, *(rule for at, rule in enumerate(stores) if rule not in stores[:at]))
        apis = self._needed_apis(name, egress, [environment, endpoint_environment.parsed(spec.weights.environment)])
        resolves_names = bool(spec.egress) or any(plan.resolves_names for plan in weights)
        space, closed = self._closed_namespace(
            name, spec, labels, platform, first=[*images, *apis], egress=egress, resolves_names=resolves_names
        )
        after = pulumi.ResourceOptions(parent=self, depends_on=closed)
        inside = pulumi.ResourceOptions.merge(after, pulumi.ResourceOptions(deleted_with=space))
        objects = EndpointObjects(name=name, labels=labels, parent=self, inside=inside)
        shared, filled = pod_needs.of_inputs(objects, spec, environment)
        copying = pod_needs.for_weights(objects, spec, weights[0]) if weights else pod_needs.Variables([], [])
        after_secrets = pulumi.ResourceOptions.merge(
            after, pulumi.ResourceOptions(depends_on=[*filled, *copying.filled])
        )
        deployments = [
            version.placed(
                objects,
                self._needs(name, spec, platform, version, shared, copying=copying.entries),
                timeout_seconds=spec.endpoint.timeout_seconds,
                stopped=spec.endpoint.stopped,
                platform=platform,
                after=after_secrets,
            )
            for version in versions
        ]
        namespace = objects.namespace
        KubernetesObject(f"{name}-scale-binding", scale_grant(namespace, labels=labels), inside)
        KubernetesObject(f"{name}-pods-binding", pods_grant(namespace, labels=labels), inside)
        rollout = spec.endpoint.rollout
        if rollout is not None:
            rollout = endpoint_rollout.settled_rollout(rollout, start_seconds=versions[0].start_seconds)
        # A version without pods cannot be judged: what a stopped endpoint names is rolled out once it is started.
        whole = replace(spec.endpoint, rollout=None if spec.endpoint.stopped else rollout)

        def written(pinned: list[str]) -> dict[str, Any]:
            served = tuple(version.served(image) for version, image in zip(versions, pinned, strict=True))
            return replace(whole, versions=served).to_json()

        endpoint = manifests.custom_object(
            names.MODEL_ENDPOINT_KIND,
            name,
            namespace,
            labels=labels,
            spec=pulumi.Output.all(*(image.image for image in images)).apply(written),
            annotations=None if spec.evidence is None else {names.EVIDENCE_ANNOTATION: spec.evidence},
        )
        # Deleted by itself, at once with the pods: they answer for seconds after being told to go, in which the routes
        # are gone.
        written_object = KubernetesObject(f"{name}-endpoint", endpoint, after)
        first = max(versions, key=lambda version: version.asked.weight)
        self.evidence = self._evidence(name, whole, versions, first, deployments=deployments, endpoint=written_object)
        # Not annotated on the class: for the program at hand and no output, which crosses to other languages.
        self.plans = [EndpointPlan.of(version, spec) for version in versions]
        path = names.invocations_path(name).removesuffix("/invocations")
        self.url = pulumi.Output.concat(platform["url"], path)
        self.version = pulumi.Output.from_input(first.name)
        self.image = first.image.image
        self.runtime_kind = pulumi.Output.from_input(first.image.choice.runtime.value)
        self.namespace = space.metadata.apply(lambda _: namespace)  # once it is there
        for version in versions:
            pulumi.log.info(f"{version.image.choice.runtime}: {'; '.join(version.reasons)}", self)
            for demand in model_demands.not_granted(version.image.source.mlmodel, environment.names, spec.egress):
                pulumi.log.warn(demand, self)
        outputs = ("url", "version", "image", "runtime_kind", "namespace", "evidence")
        self.register_outputs({output: getattr(self, output) for output in outputs})

    def _versions(
        self, name: str, spec: CheckedInputs, platform: pulumi.Output[Any], sources: Mapping[str, ModelSource]
    ) -> list[ModelVersion]:
        """What is to serve, each with its image."""
        found = []
        for asked in spec.asked:
            # One model's image has the endpoint's name alone, whichever version it is.
            distinct = () if spec.model_uri is not None else (asked.name or image_name(asked.model_uri),)
            image = self._model_image("-".join([name, *distinct, "image"]), spec, asked, platform, sources)
            found.append(ModelVersion(asked, image, start_seconds=spec.start_seconds))
        told = checks.unique("versions[].name", [version.name for version in found])
        checks.require(f"ModelEndpoint '{name}'", told)
        return found

    @staticmethod
    def _needs(
        name: str, spec: CheckedInputs, platform: pulumi.Output[Any], version: ModelVersion, shared: PodNeeds, *,
        copying: list[manifests.Manifest],
    ) -> PodNeeds:  # fmt: skip
        """What the inputs add to one version's pods."""
        needs, image = pod_needs.on(version.image.architectures, shared), version.image
        if image.weights is not None:
            needs = pod_needs.with_weights(needs, image.weights, version.allotment, copying, endpoint=name)
        collector = endpoint_telemetry.collector_of(platform)
        if spec.endpoint.inference_table is None:
            needs = endpoint_telemetry.with_telemetry(
                needs, endpoint=name, version=version.name, image=image.image, collector=collector
            )
        else:
            recording = endpoint_recording.parts(
                spec.endpoint.inference_table, endpoint=name, version=version.name, image=image.image,
                writer=endpoint_recording.writer_of(platform, endpoint=name),
                collector=collector,
            )  # fmt: skip
            needs = endpoint_recording.with_recording(needs, recording)
        return needs

    def _evidence(
        self, name: str, spec: ModelEndpointSpec, versions: Sequence[ModelVersion], first: ModelVersion, *,
        deployments: Sequence[KubernetesObject], endpoint: KubernetesObject,
    ) -> pulumi.Output[Mapping[str, Any]]:  # fmt: skip
        """What is known of `first` by the end of the update. Prints what pods of all versions have proven and how a
        rollout ended; the update fails where the version was taken back."""
        kind = {"apiVersion": f"{names.API_GROUP}/{names.API_VERSION}", "kind": names.MODEL_ENDPOINT_KIND}
        place, version = f"{names.endpoint_namespace(name)}/{name}", first.name
        project, stack = pulumi.get_project(), pulumi.get_stack()

        async def when_told(settled: list[Any]) -> str:
            now = datetime.datetime.now(datetime.UTC)
            await asyncio.sleep(max(proof_report.wait_seconds(status, now) for status in settled[1:]))
            return place

        changed = [deployment.status for deployment in deployments]
        known: pulumi.Output[list[Any]] = pulumi.Output.all(endpoint.metadata, *changed)
        found: pulumi.Output[str] = known.apply(when_told)
        read = ObjectStatus(f"{name}-proof", kind, found, pulumi.ResourceOptions(parent=self))

        def read_again(number: int) -> Awaitable[Any]:
            again = ObjectStatus(f"{name}-rollout-{number}", kind, place, pulumi.ResourceOptions(parent=self))
            return again.status.future()

        async def when_over(status: Any) -> Any:
            longest = spec.rollout.wait_seconds if spec.rollout is not None else None
            if longest is None or pulumi.runtime.is_dry_run():
                return status
            return await endpoint_rollout.when_over(status, read_again, version=version, wait_seconds=longest)

        def told(read_now: list[Any]) -> Mapping[str, Any]:
            status, *pinned = read_now
            image_of = {each.name: image for each, image in zip(versions, pinned, strict=True)}
            if not pulumi.runtime.is_dry_run():
                for each, image in image_of.items():
                    proof = endpoint_attestation.proof_of(status, version=each, image=image)
                    pulumi.log.info(proof_report.sentence(proof, version=each, place=place), self)
                if spec.rollout is not None:
                    pulumi.log.info(endpoint_rollout.require_rolled_out(status, endpoint=name, version=version), self)
            return endpoint_attestation.facts(
                status,
                endpoint=name,
                version=version,
                source=first.image.source,
                image=image_of[version],
                project=project,
                stack=stack,
            )

        images = [each.image.image for each in versions]
        return pulumi.Output.all(read.status.apply(when_over), *images).apply(told)

    def _model_image(
        self,
        resource: str,
        spec: CheckedInputs,
        asked: VersionInputs,
        platform: pulumi.Output[Any],
        sources: Mapping[str, ModelSource],
    ) -> ModelImage:
        args: ModelImageArgs = {
            "model_uri": asked.model_uri,
            "delivery": platform["image_delivery"],
            "base": platform["image_base"],
            "runtime": asked.runtime,
            "architectures": [*wanted_architectures(spec.architectures, spec.node_selector)],
            "node_architectures": platform.apply(lambda known: known.get("architectures") or []),
        }
        if spec.tracking_uri is not None:
            args["tracking_uri"] = spec.tracking_uri
        if spec.evidence is not None:
            args["evidence"] = spec.evidence
        opts = pulumi.ResourceOptions(parent=self)
        return ModelImage(
            resource, args, opts, source=sources.get(asked.model_uri), weights=spec.weights, packages=spec.packages
        )

    def _needed_apis(
        self, name: str, egress: Sequence[EgressRule], environments: Sequence[Environment]
    ) -> list[pulumi.Resource]:
        """What the cluster must have for some of the inputs, looked for before anything is made."""
        hosts = ", ".join(rule.host for rule in egress if rule.host is not None)
        variables = ", ".join(sorted({name for environment in environments for name in environment.paths}))
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
        *,
        first: Sequence[pulumi.Resource],
        egress: Sequence[EgressRule],
        resolves_names: bool,
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
        by_name = endpoint_egress.rules_by_name(egress)
        policy = network_policies.model_pods(
            namespace,
            labels=labels,
            egress=[
                *endpoint_egress.rules_of_policy(egress),
                *network_policies.of_sidecar(records=spec.endpoint.inference_table is not None),
            ],
            resolves_names=resolves_names and not by_name,  # Cilium must read the answers to names that it allows
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


def require_servable(endpoints: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, ModelSource]]:
    """The models of every endpoint by model_uri; endpoints are given as name and inputs (`platform` may be missing).

    Raises ArgsError with every fault of every endpoint. It asks the tracking servers, for several models at a time: a
    program that calls it first stops on a model that does not exist or cannot be served before anything is registered.
    """
    faults, wanted = dict[str, list[str]](), dict[str, tuple[VersionInputs, ...]]()
    for name, args in endpoints.items():
        spec, told = read_inputs({"platform": "given later", **args})
        faults[name] = [*checks.endpoint_name("name", name), *told]
        wanted[name] = () if spec is None or faults[name] else spec.asked
    tracking = {name: endpoints[name].get("tracking_uri", "") for name in wanted}
    found = model_source.resolve_all(
        [(version.model_uri, tracking[name]) for name, versions in wanted.items() for version in versions]
    )
    sources: dict[str, dict[str, ModelSource]] = {name: {} for name in endpoints}
    for name, versions in wanted.items():
        for version in versions:
            try:
                source = found[version.model_uri, tracking[name]]
                if isinstance(source, HeadraceError):
                    raise source
                choose(source.mlmodel, version.runtime)
                if isinstance(evidence := endpoints[name].get("evidence"), str):
                    endpoint_attestation.attested_image(evidence, source)
                sources[name][version.model_uri] = source
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
