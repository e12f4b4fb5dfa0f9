"""ModelEndpoint: the object that tells the control plane which versions serve a name, and its CRD."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract import names


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """One version behind an endpoint. Its pods are the endpoints of the Service of the same name."""

    name: str
    """DNS label, unique in the endpoint, for example `v7`; Deployment and Service carry it."""
    model_uri: str
    """What was asked for, for example models:/fraud/7; for people, never parsed by the data plane."""
    image: str
    """Image reference pinned by digest."""
    weight: int = 100
    """Share of the endpoint's traffic, in percent; the weights of an endpoint add up to 100."""
    shadow: int = 0
    """Share of the endpoint's traffic, in percent, mirrored to this version with its answers thrown away."""
    runtime: str = "mlflow"
    """What serves it: mlflow, vllm, triton or custom (contract.runtime)."""
    reasons: tuple[str, ...] = ()
    """Why; for people."""


@dataclass(frozen=True, kw_only=True)
class ModelEndpointSpec:
    """Desired state of one endpoint."""

    versions: tuple[ServedVersion, ...]
    allowed_subjects: tuple[str, ...] = ()
    """JWT subjects that may call the endpoint; empty admits every authenticated caller of the PoP's audience."""
    timeout_seconds: float = 297.0
    """Longest time one request may take (the reference platform's limit)."""

    def to_json(self) -> dict[str, Any]:
        """The `spec` of the Kubernetes object."""
        return {
            "versions": [
                {
                    "name": version.name,
                    "modelUri": version.model_uri,
                    "image": version.image,
                    "weight": version.weight,
                    "shadow": version.shadow,
                    "runtime": version.runtime,
                    "reasons": list(version.reasons),
                }
                for version in self.versions
            ],
            "access": {"subjects": list(self.allowed_subjects)},
            "timeoutSeconds": self.timeout_seconds,
        }

    @classmethod
    def from_json(cls, spec: Mapping[str, Any]) -> "ModelEndpointSpec":
        """Reads an admitted object's `spec`; absent optional fields take this class's defaults."""
        access = spec.get("access", {})
        return cls(
            versions=tuple(
                ServedVersion(
                    name=version["name"],
                    model_uri=version["modelUri"],
                    image=version["image"],
                    weight=int(version.get("weight", 100)),
                    shadow=int(version.get("shadow", 0)),
                    runtime=version.get("runtime", "mlflow"),
                    reasons=tuple(version.get("reasons", ())),
                )
                for version in spec["versions"]
            ),
            allowed_subjects=tuple(access.get("subjects", ())),
            timeout_seconds=float(spec.get("timeoutSeconds", 297.0)),
        )


_PERCENT: Final = {"type": "integer", "minimum": 0, "maximum": 100}
_LABEL: Final = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}


def conditions_schema() -> dict[str, Any]:
    """OpenAPI schema of `status.conditions`, as in metav1.Condition."""
    return {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string"},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string"},
                "message": {"type": "string"},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "observedGeneration": {"type": "integer"},
            },
        },
    }


def model_endpoint_crd() -> dict[str, Any]:
    """The CustomResourceDefinition, as plain data."""
    version_schema = {
        "type": "object",
        "required": ["name", "modelUri", "image"],
        "properties": {
            "name": _LABEL,
            "modelUri": {"type": "string", "minLength": 1},
            "image": {"type": "string", "minLength": 1},
            "weight": {**_PERCENT, "default": 100},
            "shadow": {**_PERCENT, "default": 0},
            "runtime": {"type": "string", "default": "mlflow"},
            "reasons": {"type": "array", "items": {"type": "string"}},
        },
    }
    spec_schema = {
        "type": "object",
        "required": ["versions"],
        "properties": {
            "versions": {
                "type": "array",
                "minItems": 1,
                "maxItems": 15,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": version_schema,
            },
            "access": {
                "type": "object",
                "properties": {"subjects": {"type": "array", "items": {"type": "string", "minLength": 1}}},
            },
            "timeoutSeconds": {"type": "number", "minimum": 0.001, "default": 297.0},
        },
    }
    status_schema = {
        "type": "object",
        "properties": {
            "observedGeneration": {"type": "integer"},
            "readyPods": {"type": "integer"},
            "runtimes": {
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["version"],
                "items": {
                    "type": "object",
                    "required": ["version", "runtime"],
                    "properties": {
                        "version": {"type": "string"},
                        "runtime": {"type": "string"},
                        "reasons": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
            "conditions": conditions_schema(),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.MODEL_ENDPOINT_PLURAL}.{names.API_GROUP}"},
        "spec": {
            "group": names.API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.MODEL_ENDPOINT_KIND,
                "plural": names.MODEL_ENDPOINT_PLURAL,
                "singular": names.MODEL_ENDPOINT_KIND.lower(),
                "shortNames": ["mep"],
                "categories": ["headrace"],
            },
            "versions": [
                {
                    "name": names.API_VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            # keeps old Pulumi providers able to update the object: docs/decisions/0601
                            "x-kubernetes-preserve-unknown-fields": True,
                            "required": ["spec"],
                            "properties": {"spec": spec_schema, "status": status_schema},
                        }
                    },
                    "additionalPrinterColumns": [
                        {
                            "name": "Ready",
                            "type": "string",
                            "jsonPath": ".status.conditions[?(@.type=='Ready')].status",
                        },
                        {
                            "name": "Reason",
                            "type": "string",
                            "jsonPath": ".status.conditions[?(@.type=='Ready')].reason",
                        },
                        {"name": "Pods", "type": "integer", "jsonPath": ".status.readyPods"},
                        {"name": "Versions", "type": "string", "jsonPath": ".spec.versions[*].name"},
                        {"name": "Runtime", "type": "string", "jsonPath": ".status.runtimes[*].runtime"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                }
            ],
        },
    }
