"""The container of a KServe predictor, as inputs of the endpoint: what it asks for, its variables, its files. Pure."""

import math
from typing import Final

from headrace.stacks.conversion.endpoint_draft import EndpointDraft
from headrace.stacks.conversion.source_document import Part
from headrace.stacks.forecast.quantity import quantity

_GPU: Final = "nvidia.com/gpu"
_MIB: Final = 1024 * 1024
_MOST: Final = 10**15
"""Bytes that no node has; larger figures are mistakes."""
_READY: Final = "a pod gets requests when it has answered the model's own example"
_IGNORED: Final = {
    "name": "a pod's containers have names of their own",
    "runtime": "what serves follows from the model",
    "runtimeVersion": "the model's own environment has the versions that it was logged with",
    "imagePullPolicy": "images are pinned by digest",
    "ports": "a pod's ports are fixed",
    "readinessProbe": _READY,
    "livenessProbe": _READY,
    "startupProbe": _READY,
    "terminationMessagePath": "it means nothing to a model",
    "terminationMessagePolicy": "it means nothing to a model",
}
_LOST: Final = {
    "image": ("runtime", "an image is built from the model; for a server of your own see runtime.kind = 'custom'"),
    "command": ("runtime", "it starts KServe's server; for a server of your own see runtime.kind = 'custom'"),
    "args": ("runtime", "they are for KServe's server; those of an engine are runtime.arguments"),
    "storage": ("model_uri", "name the model's address as model_uri"),
    "storageUris": ("model_uri", "an endpoint's version is one model; log with it what it reads"),
    "envFrom": ("environment", "name each variable as environment, by its Secret and key"),
    "securityContext": ("", "pods keep to the profile `restricted` of Pod Security, and a model cannot change that"),
    "lifecycle": ("", "a pod that ends answers its requests first"),
    "workingDir": ("", "a model's processes run where its files are"),
}


def convert(draft: EndpointDraft, container: Part, predictor: Part) -> None:
    """Puts what `container` says into the draft; the files that it mounts are declared in `predictor`."""
    container.ignore_each(_IGNORED)
    container.lose_each(_LOST)
    protocol = container["protocolVersion"]
    if protocol.text == "v1":
        protocol.lose("`:predict` of KServe's first protocol is not spoken; callers send the same to /invocations")
    elif protocol.text:
        protocol.ignore("the Open Inference Protocol is spoken over HTTP and gRPC")
    _resources(draft, container["resources"])
    for _, part in container["env"].parts():
        _variable(draft, part)
    _files(draft, container["volumeMounts"], predictor["volumes"])


def _resources(draft: EndpointDraft, resources: Part) -> None:
    """The limit of each resource, else what is asked for: a pod here gets what it asks for, and no more."""
    limits, requests = resources["limits"], resources["requests"]
    for key in ("cpu", "memory", _GPU):
        limit, request = limits[key], requests[key]
        part = limit if limit else request
        if limit:
            request.ignore("a pod asks for its limit")
        try:
            amount = quantity(part.value) if part else None
        except ValueError:
            continue  # which leaves it to be told as unknown
        if amount is None or not amount.is_finite() or amount > _MOST:
            continue
        if key == "cpu":
            draft.put(("cpu",), float(amount), part)
        elif key == "memory":
            draft.put(("memory_mib",), math.ceil(amount / _MIB), part)
        else:
            draft.put(("runtime", "gpus"), int(amount), part)
    for side in (limits, requests):
        side["ephemeral-storage"].lose("what a pod may write is /tmp, in memory", near=("memory_mib",))


def _variable(draft: EndpointDraft, part: Part) -> None:
    name, value = part["name"], part["value"]
    target = ("environment", name.text)
    secret = part["valueFrom"]["secretKeyRef"]
    if not name.text:
        return
    if secret["name"].text and secret["key"].text:
        wanted = {"secret": secret["name"].text, "key": secret["key"].text}
        reason = f"the Secret must be in the namespace endpoint-{draft.name}"
        draft.put(target, wanted, name, secret["name"], secret["key"], reason=reason)
        secret["optional"].lose("pods wait until the Secret is there", near=target)
    elif part["valueFrom"]:
        part.lose("a variable is a text or the key of a Secret; write its value out", near=("environment",))
    elif "$(" in value.text:
        part.lose("it refers to other variables, which nothing replaces here; write it out", near=("environment",))
    else:
        draft.put(target, value.value if value else "", name, *([value] if value else ()))


def _files(draft: EndpointDraft, mounts: Part, volumes: Part) -> None:
    """Claims, which are read only."""
    declared = {part["name"].text: part for _, part in volumes.parts()}
    for _, mount in mounts.parts():
        volume = declared.get(mount["name"].text)
        claim = volume["persistentVolumeClaim"] if volume else mount["nothing"]
        if volume is None or not claim["claimName"].text or mount["subPath"] or not mount["mountPath"].text:
            mount.lose("files are a claim, a driver's or an image's, mounted whole; see volumes", near=("volumes",))
            continue
        target = ("volumes", volume["name"].text)
        wanted = {"mount_path": mount["mountPath"].text, "claim": claim["claimName"].text}
        reason = f"it is read only, and must be in the namespace endpoint-{draft.name}"
        if draft.put(target, wanted, mount["mountPath"], claim["claimName"], volume["name"], reason=reason):
            mount["name"].maps(target)
            mount["readOnly"].ignore("all files are read only")
            claim["readOnly"].ignore("all files are read only")
