"""AutopilotPodAutoscaler: bounds of one version's pods, what was decided and why.

One object per version, in the endpoint's namespace and of the version's name. A user constrains; nothing here tunes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from headrace.contract import names
from headrace.contract.codec import decode, encode, faults_of
from headrace.contract.conditions import Conditions, ConditionType, Time
from headrace.contract.custom_object import Column, CustomObject
from headrace.contract.declaration import At, AtMost, Bounds, Items, Needs, NotEmpty, Style
from headrace.contract.errors import InputError

DECISIONS_KEPT: Final = 20
"""Decisions in `status.decisions`, newest last."""

Positive = Annotated[int, Bounds(minimum=1)]
Seconds = Annotated[float, Bounds(minimum=0)]
Price = Annotated[float, Bounds(above=0)]


@dataclass(frozen=True, kw_only=True)
class AutoscalerSpec:
    """Desired state of one AutopilotPodAutoscaler."""

    target: Annotated[NotEmpty, At("targetRef.name")]
    """Name of the Deployment to scale, in the object's own namespace."""
    min_replicas: Annotated[int, Bounds(minimum=0), AtMost("max_replicas")] = 1
    """Fewest pods; 0 lets the endpoint sleep when idle. Default 1: asleep, an endpoint cannot answer at once."""
    max_replicas: Positive = 100
    """Most pods. Default 100: nobody is safe without a limit; a backlog once made HPA ask for 800 times the need."""
    min_concurrency: Annotated[Positive, At("concurrency.min"), AtMost("max_concurrency")] = 1
    """Least requests admitted to one pod at once."""
    max_concurrency: Annotated[Positive, At("concurrency.max")] = 1024
    """Most requests admitted to one pod at once."""
    initial_concurrency: Annotated[Positive | None, At("concurrency.initial")] = None
    """Requests admitted to one pod at first. Absent: the limit that the runtime chooses by itself."""
    idle_seconds: Seconds | None = None
    """Where fewest pods is 0: seconds without a request before the last pod goes. Absent: a minute, or as long as any
    other need is remembered if that is longer; a first request that waits for a start is worse than one of many."""
    cost_per_hour: Annotated[Price | None, At("budget.costPerHour"), Needs("pod_cost_per_hour")] = None
    """Most that the pods may cost together per hour, in any currency. Absent: no budget."""
    pod_cost_per_hour: Annotated[Price | None, At("budget.podCostPerHour")] = None
    """Price of one pod-hour in the same currency; needed with a budget."""
    currency: Annotated[NotEmpty | None, At("budget.currency")] = None
    """Currency of both, for example USD. Absent: not told."""
    price_source: Annotated[NotEmpty | None, At("budget.priceSource")] = None
    """Where the price of a pod-hour is from and of which day. Absent: not told."""
    cold_start_seconds: Seconds = 10
    """Expected time from creating a pod to Ready, until starts have been measured."""
    max_wait_seconds: Seconds | None = None
    """Where fewest pods is 0: longest that the first caller of a version that sleeps shall wait. Where a start is
    expected to take longer, one pod is kept, with the reason `SpareKept`. Absent: it sleeps whatever a start takes."""
    stopped: bool | None = None
    """Whether no pod shall run, whatever asks for one. Absent: pods run."""
    predecessor: NotEmpty | None = None
    """Name of the AutopilotPodAutoscaler whose learned profile this version starts from. Absent: the newest other one
    in the namespace, which is the version that served before."""

    def checked(self, subject: str) -> "AutoscalerSpec":
        """Itself when sound; raises InputError with all faults otherwise."""
        if faults := faults_of(self, Style.KUBERNETES):
            raise InputError(subject, [str(fault) for fault in faults])
        return self

    def to_json(self) -> dict[str, Any]:
        """The `spec` of the Kubernetes object."""
        return dict(encode(self, Style.KUBERNETES))

    @classmethod
    def from_json(cls, spec: Mapping[str, Any], *, subject: str = "spec") -> "AutoscalerSpec":
        """Reads an object's `spec`; raises InputError with every fault."""
        return decode(cls, spec, Style.KUBERNETES, subject=subject)


@dataclass(frozen=True, kw_only=True)
class DecisionRecord:
    """One change that the autoscaler ordered."""

    time: Time | None = None
    """When."""
    replicas: int | None = None
    """Pods ordered."""
    concurrency: int | None = None
    """Requests admitted to one pod at once, as ordered."""
    reasons: tuple[str, ...] = ()
    """Why: codes with sentences."""
    inputs: Mapping[str, Any] | None = None
    """The numbers that the decision was made of."""


@dataclass(frozen=True, kw_only=True)
class ColdStartRecord:
    """What the version's last start took: what the next first caller may expect."""

    time: Time | None = None
    """When the pod was ready."""
    pod: str | None = None
    """The pod."""
    seconds: float | None = None
    """From the first request that waited for it, else from its creation, until it was ready."""
    decide_seconds: float | None = None
    """From that request to the order of the pod. Absent: no request waited for it."""
    schedule_seconds: float | None = None
    """From its creation until it had a node."""
    pull_seconds: float | None = None
    """From then until its container ran: volumes and the image."""
    load_seconds: float | None = None
    """Its programs and the model, as its front measured."""
    warm_up_seconds: float | None = None
    """The first predictions and what was proven by them."""


@dataclass(frozen=True, kw_only=True)
class AutoscalerStatus:
    """What the autoscaler says of one version."""

    observed_generation: int | None = None
    """The `metadata.generation` that the status is about."""
    replicas: int | None = None
    """Pods that the Deployment was told to have when the autoscaler looked."""
    desired_replicas: int | None = None
    """Pods that the autoscaler wants."""
    ready_replicas: int | None = None
    """Pods that are ready."""
    concurrency: int | None = None
    """Requests admitted to one pod at once: the limit that the fronts are told."""
    target_concurrency: float | None = None
    """Requests that one pod shall have at once on average."""
    demand: str | None = None
    """Requests that want to be served at once on average, to one decimal."""
    last_scale_time: Time | None = None
    """When pods or concurrency last changed."""
    reason: str | None = None
    """Why, in one word: what limits or changes comes before what is as usual."""
    cold_start: ColdStartRecord | None = None
    """What the last start took, phase by phase: what the first caller of a version that sleeps may expect."""
    profile: Mapping[str, Any] | None = None
    """What was learned of the version; a version after it starts from that. For the autoscaler alone."""
    decisions: Annotated[tuple[DecisionRecord, ...], Items(maximum=DECISIONS_KEPT)] | None = None
    """The last changes, newest last."""
    conditions: Conditions = ()
    """What is to be said of the version; see below."""


ACTIVE: Final = ConditionType(
    name="Active",
    meaning="The version is scaled.",
    true={"Scaling": "Replicas and concurrency follow the load."},
    false={
        "InvalidSpec": "The object breaks a rule, which the message tells.",
        "TargetMissing": "There is no Deployment of the name in `targetRef`, or it is being deleted.",
        "TargetConflict": "An older AutopilotPodAutoscaler has the same target.",
        "HorizontalPodAutoscalerPresent": "A HorizontalPodAutoscaler has the same target: delete one of the two.",
    },
)
SIGNALS_TRUSTED: Final = ConditionType(
    name="SignalsTrusted",
    meaning="Load is reported and makes sense; where it does not, the last decision stands.",
    true={"Fresh": "Load is reported."},
    false={
        "NoData": "Nobody reports load.",
        "Stale": "The last report is too old.",
        "ClockSkew": "A report is from the future.",
        "NotFinite": "A number is infinite or no number.",
        "Negative": "A number that cannot be negative is.",
        "Implausible": "Numbers contradict each other.",
        "CounterReset": "A counter went back.",
        "Gap": "Reports were missing for long.",
    },
)
LIMITED: Final = ConditionType(
    name="Limited",
    meaning="A bound or the budget keeps the replicas from what the load asks for.",
    true={
        "LimitReached": "`maxReplicas` is fewer than what the load asks for.",
        "BudgetReached": "`budget.costPerHour` pays for fewer than what the load asks for.",
    },
    false={"WithinBounds": "No bound is reached."},
)
CAPACITY_AVAILABLE: Final = ConditionType(
    name="CapacityAvailable",
    meaning="Pods that were ordered run.",
    true={"PodsScheduled": "No pod waits for a node or fails to start."},
    false={"CapacityShort": "Pods wait for a node.", "PodsFailing": "Pods fail to start."},
)

AUTOPILOT_POD_AUTOSCALER: Final = CustomObject(
    kind=names.APA_KIND,
    plural=names.APA_PLURAL,
    short_name="apa",
    spec=AutoscalerSpec,
    status=AutoscalerStatus,
    conditions=(ACTIVE, SIGNALS_TRUSTED, LIMITED, CAPACITY_AVAILABLE),
    columns=(
        Column(name="Target", type="string", path=".spec.targetRef.name"),
        Column(name="Min", type="integer", path=".spec.minReplicas"),
        Column(name="Max", type="integer", path=".spec.maxReplicas"),
        Column(name="Ready", type="integer", path=".status.readyReplicas"),
        Column(name="Desired", type="integer", path=".status.desiredReplicas"),
        Column(name="Concurrency", type="integer", path=".status.concurrency"),
        Column(name="Demand", type="string", path=".status.demand"),
        Column(name="Active", type="string", path=".status.conditions[?(@.type=='Active')].status"),
        Column(name="Why", type="string", path=".status.reason"),
        Column(name="Cold-Start", type="number", path=".status.coldStart.seconds", is_wide=True),
        Column(name="Last-Scale", type="date", path=".status.lastScaleTime", is_wide=True),
        Column(name="Age", type="date", path=".metadata.creationTimestamp"),
    ),
)
