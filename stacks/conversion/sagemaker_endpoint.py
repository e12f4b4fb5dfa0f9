"""An endpoint configuration of SageMaker, as its API describes or creates it, as an endpoint.

Keys are those of DescribeEndpointConfig and CreateEndpointConfig. Which model a variant has is said elsewhere, and in
no form that MLflow reads, so that its URI is given or asked for. Pure.
"""

from collections.abc import Mapping
from typing import Any, Final

from headrace.stacks.conversion.endpoint_draft import DraftVersion, EndpointDraft, ModelUris, endpoint_name, shares
from headrace.stacks.conversion.instance_types import cores, gpus
from headrace.stacks.conversion.source_document import Part, Path, SourceDocument

_VARIANTS: Final = "ProductionVariants"
_SHADOWS: Final = "ShadowProductionVariants"
_HISTORY: Final = "AWS wrote it"
_IGNORED: Final = {
    "EndpointConfigArn": _HISTORY,
    "CreationTime": _HISTORY,
    "ResponseMetadata": _HISTORY,
}
_LOST: Final = {
    "KmsKeyId": ("", "nodes' disks are encrypted by whoever makes the nodes"),
    "AsyncInferenceConfig": (
        "timeout_seconds",
        "requests are answered at once; timeout_seconds bounds how long it takes",
    ),
    "ExplainerConfig": ("", "log an explainer as a model, and give it an endpoint of its own"),
    "VpcConfig": ("egress", "say what the model may open connections to as egress"),
    "MetricsConfig": ("", "metrics are Prometheus' own; see the page on monitoring"),
    "CrossRegionTrafficConfig": ("", "an endpoint is in one cluster"),
}
_IGNORED_OF_A_VARIANT: Final = {
    "VolumeSizeInGB": "a model's files are in its image, or on the node",
    "ModelDataDownloadTimeoutInSeconds": "a model's files are in its image, or on the node",
    "VariantInstanceProvisionTimeoutInSeconds": "whoever makes nodes waits for them",
}
_LOST_OF_A_VARIANT: Final = {
    "InstancePools": ("node_selector", "which nodes pods go to is node_selector"),
    "AcceleratorType": ("runtime", "GPUs are runtime.gpus"),
    "AcceleratorPartitionLayouts": ("runtime", "GPUs are runtime.gpus"),
    "CoreDumpConfig": ("", "processes leave no memory behind"),
    "EnableSSMAccess": ("", "nobody logs in to a pod; see `kubectl debug`"),
    "InferenceAmiVersion": ("node_selector", "whoever makes nodes chooses their image"),
    "CapacityReservationConfig": ("node_selector", "reserved nodes are a GpuNodePool's"),
}
_MOST: Final = 1e9
"""Largest weight that is taken for one."""
_ONE_AT_A_TIME: Final = "a pod answers one request at a time or more, so that this many are never fewer than there"


def matches(data: Any) -> bool:
    """Whether it is one."""
    return isinstance(data, Mapping) and _VARIANTS in data and "EndpointConfigName" in data


def convert(data: Any, uris: ModelUris) -> EndpointDraft:
    """One endpoint configuration."""
    document = SourceDocument(data)
    root = document.root
    name = endpoint_name(root["EndpointConfigName"])
    draft = EndpointDraft(name, f"SageMaker endpoint config {root['EndpointConfigName'].text or name}", document)
    root.ignore_each(_IGNORED)
    root.lose_each(_LOST)
    _serving(draft, root, uris)
    _account(draft, root["ExecutionRoleArn"])
    _capture(draft, root["DataCaptureConfig"])
    isolated = root["EnableNetworkIsolation"]
    if isolated.value is True:
        isolated.ignore("a model opens no connections unless egress says which")
    elif isolated:
        isolated.lose("a model opens no connections; say as egress which it needs", near=("egress",))
    for _, tag in root["Tags"].parts():
        if tag["Key"].text:
            draft.put(("labels", tag["Key"].text), tag["Value"].value, *(part for _, part in tag.parts()))
    return draft


def _serving(draft: EndpointDraft, root: Part, uris: ModelUris) -> None:
    variants = [variant for _, variant in root[_VARIANTS].parts()]
    shadows = [variant for _, variant in root[_SHADOWS].parts()]
    weights = [_weight(variant) for variant in variants]
    percents = shares(weights) if variants else []
    alone = len(variants) + len(shadows) == 1
    versions = [
        DraftVersion(
            name=_name(each),
            model_uri=uris.of(draft.name if alone else _name(each), endpoint=draft.name),
            weight=percent,
        )
        for each, percent in zip(variants, percents, strict=True)
    ]
    copied = [_copied(shadow, sum(weights)) for shadow in shadows]
    versions += [
        DraftVersion(name=_name(each), model_uri=uris.of(_name(each), endpoint=draft.name), weight=0, shadow=share)
        for each, share in zip(shadows, copied, strict=True)
    ]
    if not variants:  # of which there is always one, but a file may have anything
        versions = [DraftVersion(name=draft.name, model_uri=uris.of(draft.name, endpoint=draft.name))]
        shadows = []
    prefixes = draft.begin(versions)
    for position, (variant, prefix) in enumerate(zip((*variants, *shadows), prefixes, strict=False)):
        _variant(draft, variant, prefix)
        weight = variant["InitialVariantWeight"]
        if not prefix:
            weight.ignore("the only version gets all requests")
        elif not _is_weight(weight.value):
            weight.lose("it is no number from 0 on, and counts as 1", near=prefix)
        elif position < len(percents):
            exact = percents[position] * sum(weights) == 100 * weights[position]
            weight.maps((*prefix, "weight"), "" if exact else f"{percents[position]} % is the nearest")
        else:
            weight.maps(
                (*prefix, "shadow"), "percent of the requests that are copied, as its weight beside those that serve"
            )


def _name(variant: Part) -> str:
    return variant["VariantName"].text or variant["ModelName"].text


def _weight(variant: Part) -> float:
    value = variant["InitialVariantWeight"].value
    return float(value) if _is_weight(value) else 1.0


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST


def _copied(shadow: Part, production: float) -> int:
    """Percent of the requests, which AWS gives as a weight beside that of the variant that serves."""
    return max(1, min(100, round(100 * _weight(shadow) / production))) if production > 0 else 100


def _variant(draft: EndpointDraft, variant: Part, prefix: Path) -> None:
    variant.ignore_each(_IGNORED_OF_A_VARIANT)
    variant.lose_each(_LOST_OF_A_VARIANT, prefix=prefix)
    name, model = variant["VariantName"], variant["ModelName"]
    if prefix and name.text:
        name.maps((*prefix, "name"))
    elif not prefix:
        name.ignore("the only version is named by its number")
    if isinstance(_model_uri(draft, prefix), str):
        model.ignore("--model-uri stands in its place")
    else:
        told = "its files are in no form that MLflow reads; log it with MLflow and set its model_uri"
        model.lose(told, near=(*prefix, "model_uri"))
    _instances(draft, variant, prefix)
    _serverless(draft, variant["ServerlessConfig"], prefix)
    start = variant["ContainerStartupHealthCheckTimeoutInSeconds"]
    if start.whole is not None:
        draft.put(("start_seconds",), start.whole, start)
    routing = variant["RoutingConfig"]
    if routing["RoutingStrategy"].text in ("LEAST_OUTSTANDING_REQUESTS", "RANDOM"):
        routing["RoutingStrategy"].ignore("a request goes to the less busy one of two random pods")
    else:
        routing["RoutingStrategy"].lose("a request goes to the less busy one of two random pods")
    routing["PrefixAwareRoutingConfig"].lose("pods are chosen by how busy they are, not by what is asked")


def _model_uri(draft: EndpointDraft, prefix: Path) -> Any:
    return draft.inputs["versions"][prefix[1]]["model_uri"] if prefix else draft.inputs["model_uri"]


def _instances(draft: EndpointDraft, variant: Part, prefix: Path) -> None:
    """A pod for each instance, with its cores or GPUs."""
    managed, count, kind = variant["ManagedInstanceScaling"], variant["InitialInstanceCount"], variant["InstanceType"]
    if managed["Status"].text == "ENABLED":
        managed["Status"].ignore("pods follow the load")
        for key, bound in (("MaxInstanceCount", "max_replicas"), ("MinInstanceCount", "min_replicas")):
            if managed[key].whole is not None:
                draft.put(
                    (*prefix, "scale", bound), managed[key].whole, managed[key], reason="a pod is what an instance was"
                )
        managed["ScaleInPolicy"].lose("when pods go is measured", near=(*prefix, "scale"))
        count.ignore("pods follow the load")
    else:
        managed.ignore("it is off")
        if count.whole is not None:
            differs = "so many pods at least; set max_replicas to the same for a fixed number, 100 unless it is set"
            draft.put((*prefix, "scale", "min_replicas"), count.whole, count, reason=differs)
    accelerated, number = gpus(kind.text), cores(kind.text)
    if accelerated is not None:
        draft.put((*prefix, "runtime"), accelerated, kind)
    elif number is not None:
        draft.put(
            (*prefix, "cpu"),
            float(number),
            kind,
            reason="a pod has the instance's cores; its memory follows from the model",
        )
    elif kind.text:
        kind.lose("its cores and GPUs are not known here; set cpu, or runtime.gpus", near=(*prefix, "cpu"))


def _serverless(draft: EndpointDraft, serverless: Part, prefix: Path) -> None:
    memory, most, kept = (serverless[key] for key in ("MemorySizeInMB", "MaxConcurrency", "ProvisionedConcurrency"))
    if memory.whole is not None:
        draft.put((*prefix, "memory_mib"), memory.whole, memory)
    if most.whole is not None:
        idle = "one pod is kept" if kept.whole else "it sleeps when idle"
        bounds = {"max_replicas": most.whole, "min_replicas": 1 if kept.whole else 0}
        parts = [part for part in (most, kept) if part.whole is not None]
        draft.put((*prefix, "scale"), bounds, *parts, reason=f"{idle}; {_ONE_AT_A_TIME}")


def _account(draft: EndpointDraft, role: Part) -> None:
    if role.text:
        reason = f"the role must trust the account `model` in endpoint-{draft.name}"
        draft.put(("service_account", "annotations", "eks.amazonaws.com/role-arn"), role.text, role, reason=reason)


def _capture(draft: EndpointDraft, capture: Part) -> None:
    if capture["EnableCapture"].value is False:
        capture.ignore("it is off")
        return
    target, share = capture["DestinationS3Uri"], capture["InitialSamplingPercentage"]
    if target.text:
        reason = "a Delta table, in a folder of its own beside the files of SageMaker"
        uri = f"{target.text.rstrip('/')}/{draft.name}"
        if draft.put(("inference_table", "uri"), uri, target, reason=reason):
            if capture["EnableCapture"].value is True:
                capture["EnableCapture"].maps(("inference_table", "uri"))
            if share.whole is not None:
                draft.put(("inference_table", "sampling_fraction"), share.whole / 100, share)
        else:
            for part in (capture["EnableCapture"], share):
                part.lose("there is no table", near=("inference_table",))
    modes = {option["CaptureMode"].text for _, option in capture["CaptureOptions"].parts()}
    if modes >= {"Input", "Output"} or "InputAndOutput" in modes:
        capture["CaptureOptions"].ignore("rows have request and response")
    elif modes:
        capture["CaptureOptions"].lose("rows have both; redact what shall not be kept", near=("inference_table",))
    capture["CaptureContentTypeHeader"].ignore("rows have texts as they are, and tensors as JSON")
    capture["KmsKeyId"].lose("the bucket's own encryption holds", near=("inference_table",))
