"""What a rule says of resources, and the good resources that tests break."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rules.rule import ObjectRule, Resource, StackRule

DIGEST = "registry.example/model@sha256:" + "a" * 64
ENDPOINT_LABEL = "serving.headrace.dev/endpoint"
COMPONENT_LABEL = "serving.headrace.dev/component"
CUSTOM = "kubernetes:serving.headrace.dev/v1alpha1"

DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "v7", "namespace": "endpoint-fraud", "labels": {ENDPOINT_LABEL: "fraud"}},
    "spec": {
        "template": {
            "metadata": {"labels": {ENDPOINT_LABEL: "fraud"}},
            "spec": {
                "automountServiceAccountToken": False,
                "serviceAccountName": "model",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumes": [{"name": "scratch", "emptyDir": {}}],
                "containers": [
                    {
                        "name": "model",
                        "image": DIGEST,
                        "env": [{"name": "API_KEY", "valueFrom": {"secretKeyRef": {"name": "llm", "key": "key"}}}],
                        "ports": [{"containerPort": 8080}],
                        "readinessProbe": {"httpGet": {"path": "/ping", "port": 8080}},
                        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}},
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "resources": {
                            "requests": {"cpu": "250m", "memory": "1Gi"},
                            "limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"},
                        },
                    }
                ],
            },
        }
    },
}


@dataclass(frozen=True)
class Case:
    """Resources that break a rule, with words of the sentence that says so, or keep it."""

    rule: ObjectRule | StackRule
    resources: Sequence[Resource]
    words: str = ""
    """Empty: the rule is kept."""
    config: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.rule.name}: {self.words or 'kept'}"


def deployment(change: Callable[[Any, Any, Any], Any] = lambda spec, pod, container: None) -> Resource:
    """The good Deployment after `change(spec, pod, container)`."""
    props = copy.deepcopy(DEPLOYMENT)
    pod = props["spec"]["template"]["spec"]
    change(props["spec"], pod, pod["containers"][0])
    return Resource(type="kubernetes:apps/v1:Deployment", props=props)


def kubernetes(type_: str, spec: Any = None, labels: Any = None, name: str = "thing", **rest: Any) -> Resource:
    """An object in the endpoint's namespace; `type_` for example networking.k8s.io/v1:NetworkPolicy."""
    props = {"metadata": {"name": name, "namespace": "endpoint-fraud", "labels": labels or {}}, **rest}
    return Resource(type=f"kubernetes:{type_}", props=props if spec is None else {**props, "spec": spec})


def aws(type_: str, name: str = "thing", **props: Any) -> Resource:
    """A resource of AWS; `type_` for example s3/bucket:Bucket."""
    return Resource(type=f"aws:{type_}", props=props, name=name, urn=f"urn:{name}")


def violations(rule: ObjectRule | StackRule, resources: Sequence[Resource], config: Any = None) -> list[str]:
    """What `rule` says of all `resources`."""
    if isinstance(rule, StackRule):
        return list(rule.violations(resources, config or {}))
    return [found for resource in resources for found in rule.violations(resource, config or {})]
