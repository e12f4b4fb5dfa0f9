"""KServe's InferenceService, v1beta1, as an endpoint.

Keys are those of `InferenceServiceSpec` and, since a predictor is a pod too, of Kubernetes' PodSpec, as KServe 0.15 has
them. Pure.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from headrace.stacks.conversion import predictor_container
from headrace.stacks.conversion.endpoint_draft import (
    DraftVersion,
    EndpointDraft,
    ModelUris,
    Setting,
    endpoint_name,
)
from headrace.stacks.conversion.source_document import Part, Path, SourceDocument

KIND: Final = "InferenceService"
API: Final = re.compile(r"serving\.(kserve|kubeflow)\.(io|org)/v1beta1")

_STORES: Final = ("s3://", "gs://", "abfss://", "wasbs://", "mlflow-artifacts:", "models:/", "runs:/")
"""Addresses of storageUri that a model_uri may have, too."""
_FORMATS: Final = (
    *("sklearn", "xgboost", "lightgbm", "tensorflow", "pytorch", "triton", "onnx"),
    *("huggingface", "pmml", "paddle", "mlflow"),
)
"""Keys of a predictor that name its format, from before there was `model`."""
_SERVER: Final = "kserve-container"
_MEASURED: Final = "the autoscaler measures what a pod can do, so there is no target to set"
_WRITTEN_BY_CLUSTER: Final = {
    key: "the API server wrote it"
    for key in (
        *("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "finalizers"),
        *("ownerReferences", "deletionTimestamp"),
    )
}
_ANNOTATIONS: Final = {
    "kubectl.kubernetes.io/last-applied-configuration": "it is a copy of the object",
    "serving.kserve.io/deploymentMode": "endpoints have one way to be deployed",
    "serving.kserve.io/autoscalerClass": _MEASURED,
    "serving.kserve.io/metric": _MEASURED,
    "serving.kserve.io/targetUtilizationPercentage": _MEASURED,
    "serving.kserve.io/enable-prometheus-scraping": "every pod is scraped",
    "serving.kserve.io/enable-metric-aggregation": "a pod has one page of metrics",
    "autoscaling.knative.dev/class": _MEASURED,
    "autoscaling.knative.dev/metric": _MEASURED,
    "autoscaling.knative.dev/target": _MEASURED,
    "autoscaling.knative.dev/targetUtilizationPercentage": _MEASURED,
}
_IGNORED: Final = {
    "scaleTarget": _MEASURED,
    "scaleMetric": _MEASURED,
    "scaleMetricType": _MEASURED,
    "batcher": "batches are as large as measuring shows to be good",
    "deploymentStrategy": "a new version stands beside the one before until it is ready",
    "automountServiceAccountToken": "pods have no token of the cluster",
    "enableServiceLinks": "pods are told nothing of the cluster's Services",
}
_LOST: Final = {
    "autoScaling": ("scale", "the autoscaler measures by itself; bounds, idle_seconds and budgets are inputs of scale"),
    "containerConcurrency": ("scale", "how much a pod takes at once is measured, and cannot be set"),
    "logger": ("inference_table", "rows of requests go to a Delta table; set inference_table with its uri"),
    "annotations": ("", "pods get no annotations"),
    "affinity": ("node_selector", "write what it asks of nodes as node_selector and tolerations"),
    "topologySpreadConstraints": ("", "pods are spread over nodes by themselves"),
    "runtimeClassName": ("node_selector", "pods have the runtime class of their nodes"),
    "imagePullSecrets": ("", "images are the platform's own"),
    "workerSpec": ("runtime", "a pod has as many GPUs as runtime.gpus says; pods that serve together there are none"),
    "securityContext": ("", "pods keep to the profile `restricted` of Pod Security, and a model cannot change that"),
    "initContainers": ("", "log with the model what it needs at its start"),
}


def matches(data: Any) -> bool:
    """Whether it is one, of any version, or a list with one."""
    return any(item.get("kind") == KIND for item in objects(data))


def is_converted(item: Mapping[str, Any]) -> bool:
    """Whether it is one of the version that is known here."""
    return item.get("kind") == KIND and API.fullmatch(str(item.get("apiVersion"))) is not None


def objects(data: Any) -> list[Mapping[str, Any]]:
    """The objects in a document: one, or those of a List, as `kubectl get -o yaml` writes it."""
    found = data.get("items") if isinstance(data, Mapping) and str(data.get("kind", "")).endswith("List") else [data]
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def convert(data: Any, uris: ModelUris, others: Sequence[Mapping[str, Any]] = ()) -> EndpointDraft:
    """One InferenceService. `others` are the objects beside it, of which its ServiceAccount is one."""
    document = SourceDocument(data)
    root = document.root
    root["apiVersion"].ignore("it says what the document is")
    root["kind"].ignore("it says what the document is")
    root["status"].ignore("KServe wrote it")
    metadata, predictor = root["metadata"], root["spec"]["predictor"]
    name = endpoint_name(metadata["name"])
    draft = EndpointDraft(name, f"KServe InferenceService {metadata['name'].text or name}", document)
    model = _model(predictor)
    draft.begin([DraftVersion(name=name, model_uri=_model_uri(model, uris, name))])
    _pods(draft, predictor)
    _metadata(draft, metadata)  # after the pods, since the bounds of annotations count where there are no others
    _placement(draft, predictor)
    for key in ("serviceAccountName", "serviceAccount"):
        if predictor[key]:
            _account(draft, predictor[key], others)
    for _, beside in predictor["containers"].parts():
        if beside.path != model.path:
            beside.lose("a pod has one server; log with the model what it needs beside it")
    if model:
        predictor_container.convert(draft, model, predictor)
    root["spec"]["transformer"].lose("serve what it does as part of the model: log both as one pyfunc model")
    root["spec"]["explainer"].lose("log an explainer as a model, and give it an endpoint of its own")
    return draft


def _model(predictor: Part) -> Part:
    """Where the server is described: `model`, a format's own key, or the container of a server of the user's."""
    containers = [part for _, part in predictor["containers"].parts()]
    named = [part for part in containers if part["name"].text == _SERVER]
    found = [predictor["model"], *(predictor[key] for key in _FORMATS), *named, *containers]
    return next((part for part in found if part), predictor["model"])


def _model_uri(model: Part, uris: ModelUris, name: str) -> str | Setting:
    """What serves; the model's own address where it has the files that MLflow writes."""
    described, stored = model["modelFormat"], model["storageUri"]
    format_name = described["name"].text or str(model.path[-1:] and model.path[-1])
    described["version"].ignore("the model's own environment has it")
    remedy = "log the model with MLflow, and name it"
    given = uris.said(name)
    if given is not None:
        described["name"].ignore("the model at --model-uri says what it is")
        stored.ignore("--model-uri stands in its place")
        return given
    if format_name == "mlflow" and stored.text.startswith(_STORES):
        described["name"].ignore("the model's MLmodel file says what it is")
        stored.maps(("model_uri",))
        return stored.text
    if format_name == "mlflow":
        described["name"].ignore("the model's MLmodel file says what it is")
        stored.lose(f"an address must begin with one of {', '.join(_STORES)}; {remedy}", near=("model_uri",))
    else:
        described["name"].lose(f"models of this format have no MLmodel file; {remedy}", near=("model_uri",))
        stored.lose(f"its files are not those that MLflow writes; {remedy}", near=("model_uri",))
    return uris.of(name, endpoint=name)


def _metadata(draft: EndpointDraft, metadata: Part) -> None:
    metadata.ignore_each(_WRITTEN_BY_CLUSTER)
    metadata["namespace"].ignore(f"the endpoint's namespace is endpoint-{draft.name}")
    _labels(draft, metadata["labels"])
    annotations = metadata["annotations"]
    annotations.ignore_each(_ANNOTATIONS)
    for bound, keys in (("max_replicas", ("maxScale", "max-scale")), ("min_replicas", ("minScale", "min-scale"))):
        for key in keys:
            part = annotations[f"autoscaling.knative.dev/{key}"]
            if part.text.isdecimal():
                draft.put(("scale", bound), int(part.text), part)


def _labels(draft: EndpointDraft, labels: Part) -> None:
    for key, part in labels.parts():
        if isinstance(part.value, str):
            draft.put(("labels", str(key)), part.value, part)


def _pods(draft: EndpointDraft, predictor: Part) -> None:
    """How many pods there are, and who gets to a new version."""
    predictor.ignore_each(_IGNORED)
    predictor.lose_each(_LOST)
    _labels(draft, predictor["labels"])
    for key, bound in (("maxReplicas", "max_replicas"), ("minReplicas", "min_replicas")):
        part = predictor[key]
        if (bound, part.whole) == ("max_replicas", 0):
            part.lose("0 means no bound there; there is always one here, 100 unless it is set", near=("scale",))
        elif part.whole is not None:
            draft.put(("scale", bound), part.whole, part)
    timeout, canary = predictor["timeout"], predictor["canaryTrafficPercent"]
    if timeout.whole is not None:
        draft.put(("timeout_seconds",), timeout.whole, timeout)
    if canary.whole == 100:
        canary.ignore("a new version gets all requests unless there is a rollout")
    elif canary.whole == 0:
        canary.lose("a version without requests is one of several; write both as versions", near=("rollout",))
    elif canary.whole is not None:
        differs = "it goes on to all requests when the step is passed; for shares that stay, write both as versions"
        draft.put(("rollout", "steps"), [canary.whole], canary, reason=differs)


def _placement(draft: EndpointDraft, predictor: Part) -> None:
    """Which nodes the pods go to."""
    for key, part in predictor["nodeSelector"].parts():
        draft.put(("node_selector", str(key)), part.value, part)
    priority = predictor["priorityClassName"]
    if priority.text:
        draft.put(("priority_class",), priority.text, priority)
    for _, part in predictor["tolerations"].parts():
        _toleration(draft, part)


def _toleration(draft: EndpointDraft, part: Part) -> None:
    position = len(draft.inputs.get("tolerations", ()))
    operator = part["operator"].text or "Equal"
    if not part["key"].text or operator not in ("Equal", "Exists") or not isinstance(part.value, dict):
        part.lose("a toleration names one key", near=("tolerations",))
        return
    wanted: dict[str, Any] = {"key": part["key"].text}
    if operator == "Equal":
        wanted["value"] = part["value"].value if part["value"] else ""
    if part["effect"].text:
        wanted["effect"] = part["effect"].text
    if draft.put(("tolerations", position), wanted, part["key"]):
        target: Path = ("tolerations", position)
        part["operator"].ignore("a toleration with a value is for that value, and one without for any")
        for key in wanted.keys() - {"key"}:
            part[key].maps((*target, key))
        part["tolerationSeconds"].lose("the pods stay as long as the node has the taint", near=target)
    else:
        part["operator"].ignore("the toleration is not mapped")


def _account(draft: EndpointDraft, part: Part, others: Sequence[Mapping[str, Any]]) -> None:
    """The annotations by which a cloud knows the pods; the account itself is the endpoint's own."""
    accounts = [
        each for each in others if each.get("kind") == "ServiceAccount" and _name_of(each) == part.text and part.text
    ]
    metadata = accounts[0].get("metadata") if accounts else {}
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    known = {
        str(key): value
        for key, value in (annotations.items() if isinstance(annotations, Mapping) else ())
        if not str(key).startswith("kubectl.kubernetes.io/")
    }
    if not known:
        remedy = "give its annotations for a cloud as service_account.annotations"
        part.lose(f"pods are the account `model` of the endpoint's namespace; {remedy}", near=("service_account",))
        return
    reason = f"the account is `model` in endpoint-{draft.name}, which the cloud must know"
    draft.put(("service_account", "annotations"), known, part, reason=reason)


def _name_of(item: Mapping[str, Any]) -> str:
    metadata = item.get("metadata")
    return str(metadata.get("name")) if isinstance(metadata, Mapping) else ""
