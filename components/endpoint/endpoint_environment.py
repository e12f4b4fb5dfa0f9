"""EndpointEnvironment: variables of the model's pods, of which secrets never stand in a pod, an image or a state.

A value is a plain text; an output of the program (a Pulumi secret is one), which becomes a Kubernetes Secret; or a
reference to a Secret's key, or to a path in a store that the cluster's External Secrets Operator reads.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final

import pulumi

from headrace.components.kubernetes.checks import DNS_SUBDOMAIN, ArgsError
from headrace.components.kubernetes.manifests import Labels, Manifest, kubernetes_object, metadata
from headrace.contract.codec import read
from headrace.contract.declaration import NotEmpty, Text

EXTERNAL_SECRETS: Final = "external-secrets.io/v1"
"""API of the External Secrets Operator, from its version 0.16 on."""
_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
"""As Kubernetes checks it."""
_KEPT: Final = {
    "HEADRACE_": "belongs to Headrace",
    "KUBERNETES_": "belongs to Kubernetes",
    "PYTHON": "would change the server in front of the model, and the model's own process does not read it",
    "LD_": "would load libraries into every process of the pod",
    "GLIBC_TUNABLES": "would change the C library of every process of the pod",
    "GCONV_PATH": "would load libraries into every process of the pod",
}
"""Beginnings of names that are not the user's to set, and why."""
_OURS: Final = {
    "HOME": "is /tmp, the only directory that can be written",
    "PATH": "is the image's",
    "PORT": "is not read: a model pod's ports are fixed",
    "HOSTNAME": "is the pod's name",
    "_MLFLOW_IS_IN_SERVING_ENVIRONMENT": "belongs to MLflow",
}
_LONGEST: Final = 128 * 1024 - 1
"""Bytes of NAME=value with its end: Linux starts no process with a longer one."""
_FORMS: Final = (
    "a text, a Pulumi secret, {secret, key} of a Kubernetes Secret, or {store, path} of an External Secrets store"
)


class StoreKind(StrEnum):
    """Kinds of the External Secrets Operator that say where secrets are."""

    CLUSTER = "ClusterSecretStore"
    NAMESPACED = "SecretStore"


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """A key of a Secret in the endpoint's namespace."""

    secret: Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="the name of a Secret")]
    key: Annotated[str, Text(pattern=r"[-._a-zA-Z0-9]{1,253}", meaning="a key of a Secret")]


@dataclass(frozen=True, kw_only=True)
class StorePath:
    """A value in a store outside of the cluster, for example Vault or AWS Secrets Manager."""

    store: Annotated[str, Text(pattern=DNS_SUBDOMAIN.pattern, meaning="the name of a store")]
    path: NotEmpty
    property: NotEmpty | None = None
    store_kind: StoreKind = StoreKind.CLUSTER


Reference = SecretKey | StorePath


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The variables, by where their values are."""

    plain: Mapping[str, str]
    outputs: Mapping[str, "pulumi.Output[Any]"]
    keys: Mapping[str, SecretKey]
    paths: Mapping[str, StorePath]

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset((*self.plain, *self.outputs, *self.keys, *self.paths))


def environment_faults(given: object) -> Iterator[str]:
    """What is wrong with the input; no sentence has a value, which may be a secret in spite of all."""
    if not isinstance(given, Mapping):
        yield "environment must be a mapping of names that are known to values, of which each may be an output"
        return
    for name, value in given.items():
        yield from _faults_of_name(name)
        place = f"environment[{name}]"
        if isinstance(value, str):
            yield from _faults_of_text(name, value)
        elif isinstance(value, Mapping):
            kind = _kind(value)
            if kind is None:
                yield f"{place} has the keys {', '.join(sorted(map(str, value)))}, must be {_FORMS}"
            else:
                yield from (f"{place}.{fault}" for fault in read(kind, dict(value))[1])
        elif not isinstance(value, pulumi.Output):
            quotes = "" if value is None else "; put it in quotes"
            yield f"{place} is of type {type(value).__name__}, must be {_FORMS}{quotes}"


def parsed(given: Mapping[str, Any]) -> Environment:
    """Of an input without faults."""
    references = {name: _reference(value) for name, value in given.items() if isinstance(value, Mapping)}
    return Environment(
        plain={name: value for name, value in given.items() if isinstance(value, str)},
        outputs={name: value for name, value in given.items() if isinstance(value, pulumi.Output)},
        keys={name: found for name, found in references.items() if isinstance(found, SecretKey)},
        paths={name: found for name, found in references.items() if isinstance(found, StorePath)},
    )


def secret_of_outputs(endpoint: str, namespace: str, environment: Environment, *, labels: Labels) -> Manifest:
    """The Secret with the values of outputs, without a name: the provider invents another one for other values.

    So a changed value rolls the pods, which name the Secret, and nothing that can be read is made of the value.
    """
    described = metadata("", namespace, labels=labels)
    del described["name"]
    data = {name: _encoded(endpoint, name, value) for name, value in environment.outputs.items()}
    return kubernetes_object("v1", "Secret", described, type="Opaque", immutable=True, data=data)


def external_secrets(namespace: str, environment: Environment, *, labels: Labels) -> dict[str, Manifest]:
    """An ExternalSecret for each store, by the name that it shares with the Secret which the operator makes of it.

    The name follows from the paths, so that other paths roll the pods. Values that change in the store do not.
    """
    made = {}
    for (kind, store), paths in _by_store(environment).items():
        data = [
            {"secretKey": name, "remoteRef": {"key": found.path, **_property(found)}} for name, found in paths.items()
        ]
        spec = {
            "secretStoreRef": {"name": store, "kind": kind.value},
            "refreshInterval": "1h",
            "target": {"name": _target(kind, store, paths), "creationPolicy": "Owner"},
            "data": data,
        }
        name = _target(kind, store, paths)
        made[name] = kubernetes_object(
            EXTERNAL_SECRETS, "ExternalSecret", metadata(name, namespace, labels=labels), spec=spec
        )
    return made


def entries(environment: Environment, secret_name: pulumi.Input[str]) -> list[Manifest]:
    """The container's `env`, in the order of names; `secret_name` is that of `secret_of_outputs`."""
    found: dict[str, Manifest] = {
        name: {"value": value.replace("$", "$$")}  # Kubernetes would put other variables in place of $(NAME)
        for name, value in environment.plain.items()
    }
    found |= {name: _from_secret(secret_name, name) for name in environment.outputs}
    found |= {name: _from_secret(known.secret, known.key) for name, known in environment.keys.items()}
    for (kind, store), paths in _by_store(environment).items():
        found |= {name: _from_secret(_target(kind, store, paths), name) for name in paths}
    return [{"name": name, **found[name]} for name in sorted(found)]


def _faults_of_name(name: object) -> Iterator[str]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield f"environment has the name {name!r}, must be letters, digits and any of '_-.', and begin with no digit"
        return
    why = _OURS.get(name) or next((why for start, why in _KEPT.items() if name.startswith(start)), None)
    if why is not None:
        yield f"environment[{name}] cannot be set: it {why}; remove it or choose another name"


def _faults_of_text(name: object, value: str) -> Iterator[str]:
    if "\0" in value:
        yield f"environment[{name}] holds a NUL character, which no variable can; remove it"
    length = len(f"{name}={value}".encode(errors="surrogatepass"))
    if length > _LONGEST - 1:
        yield f"environment[{name}] has {length} bytes with its name, must have at most {_LONGEST - 1}; mount a volume"


def _kind(value: Mapping[Any, Any]) -> type[Reference] | None:
    return SecretKey if "secret" in value else StorePath if "store" in value else None


def _reference(value: Mapping[str, Any]) -> Reference:
    kind = _kind(value)
    found = None if kind is None else read(kind, dict(value))[0]
    assert found is not None  # what has no fault can be read
    return found


def _encoded(endpoint: str, name: str, value: "pulumi.Output[Any]") -> "pulumi.Output[str]":
    """Base64 of an output's text, marked as a secret whether the output was or not."""

    def encoded(known: object) -> str:
        faults = [] if isinstance(known, str) else [f"environment[{name}] is an output that must be a text"]
        faults += _faults_of_text(name, known) if isinstance(known, str) else []
        if faults or not isinstance(known, str):
            raise ArgsError(f"ModelEndpoint '{endpoint}'", faults)
        return base64.b64encode(known.encode()).decode()

    return pulumi.Output.secret(value.apply(encoded))


def _from_secret(secret: pulumi.Input[str], key: str) -> Manifest:
    return {"valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _by_store(environment: Environment) -> dict[tuple[StoreKind, str], dict[str, StorePath]]:
    found: dict[tuple[StoreKind, str], dict[str, StorePath]] = {}
    for name, known in sorted(environment.paths.items()):
        found.setdefault((known.store_kind, known.store), {})[name] = known
    return found


def _property(found: StorePath) -> Manifest:
    return {} if found.property is None else {"property": found.property}


def _target(kind: StoreKind, store: str, paths: Mapping[str, StorePath]) -> str:
    known: Sequence[Any] = [kind, store, [[name, found.path, found.property] for name, found in paths.items()]]
    return f"environment-{hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12]}"
