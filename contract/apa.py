"""AutopilotPodAutoscaler: bounds of one version's pods, what was decided and why, and its CRD.

One object per version, in the endpoint's namespace and of the version's name. A user constrains; nothing here tunes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.contract.model_endpoint import conditions_schema

DECISIONS_KEPT: Final = 20
"""Decisions in `status.decisions`, newest last."""
CONCURRENCY_MAX: Final = 1024
"""Largest concurrency of one pod that the vertical axis may reach unless the object says less."""


@dataclass(frozen=True, kw_only=True)
class AutoscalerSpec:
    """Desired state of one AutopilotPodAutoscaler. Absent bounds take the defaults below."""

    target: str
    """Name of the Deployment to scale, in the object's own namespace."""
    min_replicas: int = 1
    """Fewest pods; 0 lets the version sleep when idle. Default 1: asleep, a version cannot answer at once."""
    max_replicas: int = 100
    """Most pods, ever. Nobody is safe without a limit: a backlog once made HPA ask for 800 times the need."""
    min_concurrency: int = 1
    """Least requests admitted to one pod at once."""
    max_concurrency: int = CONCURRENCY_MAX
    """Most requests admitted to one pod at once."""
    initial_concurrency: int | None = None
    """Requests admitted to one pod at first; absent: the limit that the runtime chooses by itself."""
    idle_seconds: float | None = None
    """With min_replicas 0: seconds without a request before the last pod goes. Absent: a minute, or as long as any
    other need is remembered if that is longer; a first request that waits for a start is worse than one of many."""
    cost_per_hour: float | None = None
    """Budget: most that this version's pods may cost together per hour, in any currency. Absent: no budget."""
    pod_cost_per_hour: float | None = None
    """Price of one pod-hour in the same currency; required by cost_per_hour."""
    cold_start_seconds: float = 10.0
    """Expected time from creating a pod to Ready, until starts have been measured."""
    predecessor: str | None = None
    """Name of the AutopilotPodAutoscaler whose learned profile this version starts from. Absent: the newest other one
    in the namespace, which is the version that served before."""

    def faults(self) -> tuple[str, ...]:
        """Every broken rule as a sentence: input, value, rule, remedy. Empty when the spec is sound."""
        found = []
        if not self.target:
            found.append("targetRef.name is empty, must name a Deployment in the same namespace")
        if self.min_replicas < 0:
            found.append(f"minReplicas = {self.min_replicas}, must be 0 or more")
        if self.max_replicas < 1:
            found.append(f"maxReplicas = {self.max_replicas}, must be 1 or more")
        if self.min_replicas > self.max_replicas:
            found.append(
                f"minReplicas = {self.min_replicas}, must be at most maxReplicas ({self.max_replicas}): lower it or"
                " raise maxReplicas"
            )
        if self.min_concurrency < 1:
            found.append(f"concurrency.min = {self.min_concurrency}, must be 1 or more")
        if self.min_concurrency > self.max_concurrency:
            found.append(
                f"concurrency.min = {self.min_concurrency}, must be at most concurrency.max ({self.max_concurrency}):"
                " lower it or raise concurrency.max"
            )
        if self.initial_concurrency is not None and self.initial_concurrency < 1:
            found.append(f"concurrency.initial = {self.initial_concurrency}, must be 1 or more, or left out")
        if self.idle_seconds is not None and not self.idle_seconds >= 0:
            found.append(f"idleSeconds = {self.idle_seconds}, must be 0 or more")
        if not self.cold_start_seconds >= 0:
            found.append(f"coldStartSeconds = {self.cold_start_seconds}, must be 0 or more")
        if self.cost_per_hour is not None:
            if not self.cost_per_hour > 0:
                found.append(f"budget.costPerHour = {self.cost_per_hour}, must be above 0, or left out")
            if self.pod_cost_per_hour is None:
                found.append("budget.podCostPerHour is missing, must be given with costPerHour: set the pod's price")
        if self.pod_cost_per_hour is not None and not self.pod_cost_per_hour > 0:
            found.append(f"budget.podCostPerHour = {self.pod_cost_per_hour}, must be above 0")
        return tuple(found)

    def checked(self, subject: str) -> "AutoscalerSpec":
        """Itself when sound; raises InputError with all faults otherwise."""
        found = self.faults()
        if found:
            raise InputError(subject, found)
        return self

    def to_json(self) -> dict[str, Any]:
        """The `spec` of the Kubernetes object."""
        concurrency: dict[str, Any] = {"min": self.min_concurrency, "max": self.max_concurrency}
        if self.initial_concurrency is not None:
            concurrency["initial"] = self.initial_concurrency
        spec: dict[str, Any] = {
            "targetRef": {"name": self.target},
            "minReplicas": self.min_replicas,
            "maxReplicas": self.max_replicas,
            "concurrency": concurrency,
            "coldStartSeconds": self.cold_start_seconds,
        }
        budget = {}
        if self.cost_per_hour is not None:
            budget["costPerHour"] = self.cost_per_hour
        if self.pod_cost_per_hour is not None:
            budget["podCostPerHour"] = self.pod_cost_per_hour
        if budget:
            spec["budget"] = budget
        if self.idle_seconds is not None:
            spec["idleSeconds"] = self.idle_seconds
        if self.predecessor is not None:
            spec["predecessor"] = self.predecessor
        return spec

    @classmethod
    def from_json(cls, spec: Mapping[str, Any]) -> "AutoscalerSpec":
        """Reads an admitted object's `spec`; absent optional fields take this class's defaults."""
        concurrency = spec.get("concurrency", {})
        budget = spec.get("budget", {})
        return cls(
            target=spec["targetRef"]["name"],
            min_replicas=int(spec.get("minReplicas", 1)),
            max_replicas=int(spec.get("maxReplicas", 100)),
            min_concurrency=int(concurrency.get("min", 1)),
            max_concurrency=int(concurrency.get("max", CONCURRENCY_MAX)),
            initial_concurrency=_optional(concurrency, "initial", int),
            idle_seconds=_optional(spec, "idleSeconds", float),
            cost_per_hour=_optional(budget, "costPerHour", float),
            pod_cost_per_hour=_optional(budget, "podCostPerHour", float),
            cold_start_seconds=float(spec.get("coldStartSeconds", 10.0)),
            predecessor=_optional(spec, "predecessor", str),
        )


def _optional(source: Mapping[str, Any], key: str, kind: type) -> Any:
    value = source.get(key)
    return None if value is None else kind(value)


_COUNT: Final = {"type": "integer", "minimum": 0}
_POSITIVE: Final = {"type": "integer", "minimum": 1}
_SECONDS: Final = {"type": "number", "minimum": 0}
_FREE_FORM: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _spec_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["targetRef"],
        "x-kubernetes-validations": [
            {
                "rule": "self.minReplicas <= self.maxReplicas",
                "message": "minReplicas must be at most maxReplicas",
            },
            {
                "rule": "!has(self.budget) || !has(self.budget.costPerHour) || has(self.budget.podCostPerHour)",
                "message": "budget.podCostPerHour must be given with budget.costPerHour",
            },
        ],
        "properties": {
            "targetRef": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "minLength": 1}},
            },
            "minReplicas": {**_COUNT, "default": 1},
            "maxReplicas": {**_POSITIVE, "default": 100},
            "concurrency": {
                "type": "object",
                # Whole: the API server holds a default to the rules before it fills the defaults below in.
                "default": {"min": 1, "max": CONCURRENCY_MAX},
                "x-kubernetes-validations": [
                    {"rule": "self.min <= self.max", "message": "concurrency.min must be at most concurrency.max"}
                ],
                "properties": {
                    "min": {**_POSITIVE, "default": 1},
                    "max": {**_POSITIVE, "default": CONCURRENCY_MAX},
                    "initial": _POSITIVE,
                },
            },
            "idleSeconds": _SECONDS,
            "budget": {
                "type": "object",
                "properties": {
                    "costPerHour": {"type": "number", "minimum": 0},
                    "podCostPerHour": {"type": "number", "minimum": 0},
                },
            },
            "coldStartSeconds": {**_SECONDS, "default": 10},
            "predecessor": {"type": "string", "minLength": 1},
        },
    }


def _status_schema() -> dict[str, Any]:
    decision = {
        "type": "object",
        "properties": {
            "time": {"type": "string", "format": "date-time"},
            "replicas": {"type": "integer"},
            "concurrency": {"type": "integer"},
            "reasons": {"type": "array", "items": {"type": "string"}},
            "inputs": _FREE_FORM,
        },
    }
    return {
        "type": "object",
        "properties": {
            "observedGeneration": {"type": "integer"},
            "replicas": {"type": "integer"},
            "desiredReplicas": {"type": "integer"},
            "readyReplicas": {"type": "integer"},
            "concurrency": {"type": "integer"},
            "targetConcurrency": {"type": "number"},
            "demand": {"type": "string"},
            "lastScaleTime": {"type": "string", "format": "date-time"},
            "reason": {"type": "string"},
            "profile": _FREE_FORM,
            "decisions": {"type": "array", "maxItems": DECISIONS_KEPT, "items": decision},
            "conditions": conditions_schema(),
        },
    }


def autopilot_pod_autoscaler_crd() -> dict[str, Any]:
    """The CustomResourceDefinition, as plain data."""
    schema = {
        "type": "object",
        # keeps old Pulumi providers able to update the object: docs/decisions/0601
        "x-kubernetes-preserve-unknown-fields": True,
        "required": ["spec"],
        "properties": {"spec": _spec_schema(), "status": _status_schema()},
    }
    columns = [
        ("Target", "string", ".spec.targetRef.name", 0),
        ("Min", "integer", ".spec.minReplicas", 0),
        ("Max", "integer", ".spec.maxReplicas", 0),
        ("Ready", "integer", ".status.readyReplicas", 0),
        ("Desired", "integer", ".status.desiredReplicas", 0),
        ("Concurrency", "integer", ".status.concurrency", 0),
        ("Demand", "string", ".status.demand", 0),
        ("Active", "string", ".status.conditions[?(@.type=='Active')].status", 0),
        ("Why", "string", ".status.reason", 0),
        ("Last-Scale", "date", ".status.lastScaleTime", 1),
        ("Age", "date", ".metadata.creationTimestamp", 0),
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.APA_PLURAL}.{names.API_GROUP}"},
        "spec": {
            "group": names.API_GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.APA_KIND,
                "plural": names.APA_PLURAL,
                "singular": names.APA_KIND.lower(),
                "shortNames": ["apa"],
                "categories": ["headrace"],
            },
            "versions": [
                {
                    "name": names.API_VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "priority": priority}
                        for name, kind, path, priority in columns
                    ],
                }
            ],
        },
    }
