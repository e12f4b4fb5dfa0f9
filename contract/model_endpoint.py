"""ModelEndpoint: the object that tells the control plane which versions serve a name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from headrace.contract import names
from headrace.contract.caller import Caller
from headrace.contract.codec import decode, encode
from headrace.contract.conditions import Conditions, ConditionType
from headrace.contract.custom_object import Column, CustomObject
from headrace.contract.declaration import At, Bounds, Items, NotEmpty, Style, Text
from headrace.contract.evidence import Proof
from headrace.contract.inference_table import InferenceTable
from headrace.contract.limits import Limits
from headrace.contract.rollout import Rollout, RolloutStatus
from headrace.contract.shadow import ShadowStatus

Percent = Annotated[int, Bounds(minimum=0, maximum=100)]
Label = Annotated[str, Text(pattern=names.DNS_LABEL.pattern, meaning="a DNS label")]


@dataclass(frozen=True, kw_only=True)
class ServedVersion:
    """One version behind an endpoint. Its pods are the endpoints of the Service of the same name."""

    name: Label
    """DNS label, unique in the endpoint, for example `v7`; Deployment and Service carry it."""
    model_uri: NotEmpty
    """What was asked for, for example models:/fraud/7; for people, never parsed by the data plane."""
    image: NotEmpty
    """Image reference pinned by digest."""
    weight: Percent = 100
    """Share of the endpoint's traffic, in percent; the weights of an endpoint add up to 100."""
    shadow: Percent = 0
    """Share of the endpoint's requests, in percent, of which this version gets a copy, which nobody gets the answer to.
    Predictions in which it differs from the version that serves are counted in `status.shadows`."""
    runtime: str = "mlflow"
    """What serves it: mlflow, vllm, triton or custom."""
    reasons: tuple[str, ...] = ()
    """Why that runtime; for people."""


@dataclass(frozen=True, kw_only=True)
class ModelEndpointSpec:
    """Desired state of one endpoint."""

    versions: Annotated[tuple[ServedVersion, ...], Items(minimum=1, maximum=15, key="name")]
    """What serves the endpoint's name."""
    allowed_subjects: Annotated[tuple[NotEmpty, ...], At("access.subjects")] = ()
    """Token subjects that may call. Absent or empty, and no groups either: every caller whose token the platform
    accepts."""
    allowed_groups: Annotated[tuple[NotEmpty, ...] | None, At("access.groups")] = None
    """Groups whose members may call, each with its issuer's prefix, beside the subjects. Absent or empty: none."""
    timeout_seconds: Annotated[float, Bounds(minimum=0.001)] = names.DEFAULT_TIMEOUT_SECONDS
    """Longest time one request may take. Default 297, the limit of the reference platform."""
    rollout: Rollout | None = None
    """How another version takes over, where there is one version. Absent: all at once, as soon as it has a ready
    pod."""
    limits: Limits | None = None
    """How many requests a minute are let in. Absent: as many as come."""
    stopped: bool | None = None
    """Whether the endpoint has no pods and refuses every request with 503. Absent: it serves."""
    inference_table: InferenceTable | None = None
    """Delta table with a row for each request. Absent: nothing is recorded."""

    @property
    def is_open(self) -> bool:
        """Whether every caller whose token the platform accepts may call."""
        return not self.allowed_subjects and not self.allowed_groups

    def admits(self, caller: Caller) -> bool:
        """Whether the caller may call, as the PopProxy decides it."""
        return (
            self.is_open
            or caller.subject in self.allowed_subjects
            or not caller.groups.isdisjoint(self.allowed_groups or ())
        )

    def to_json(self) -> dict[str, Any]:
        """The `spec` of the Kubernetes object."""
        return dict(encode(self, Style.KUBERNETES))

    @classmethod
    def from_json(cls, spec: Mapping[str, Any]) -> "ModelEndpointSpec":
        """Reads an object's `spec`; raises InputError with every fault."""
        return decode(cls, spec, Style.KUBERNETES, subject="spec")


@dataclass(frozen=True, kw_only=True)
class VersionRuntime:
    """What serves a version, and why."""

    version: str
    """Name of the version."""
    runtime: str
    """mlflow, vllm, triton or custom."""
    reasons: tuple[str, ...] = ()
    """Why; for people."""


@dataclass(frozen=True, kw_only=True)
class ModelEndpointStatus:
    """What the control plane says of one endpoint."""

    observed_generation: int | None = None
    """The `metadata.generation` that the status is about."""
    ready_pods: int | None = None
    """Ready pods of all versions, of those too that the object does not name any more."""
    runtimes: Annotated[tuple[VersionRuntime, ...], Items(key="version")] | None = None
    """What serves each version that the object names."""
    proofs: Annotated[tuple[Proof, ...], Items(key="version")] | None = None
    """What a pod of each version that the object names found out before it took requests; once it was asked."""
    rollout: RolloutStatus | None = None
    """How far the rollout of the version that the object names has come, and why; written by the rollout controller."""
    shadows: Annotated[tuple[ShadowStatus, ...], Items(key="version")] | None = None
    """How versions with `shadow` differ from the version that serves; written by the rollout controller."""
    conditions: Conditions = ()
    """What is to be said of the endpoint; see below."""


READY: Final = ConditionType(
    name="Ready",
    meaning="Requests to the endpoint are answered.",
    true={
        "VersionsReady": "Every version that takes traffic has a ready pod.",
        "FormerVersionServes": "A version that the object does not name any more serves until the new one has a ready "
        "pod.",
    },
    false={
        "InvalidSpec": "The object breaks a rule, which the message tells; it is left out and other endpoints are "
        "served.",
        "NoReadyPod": "The pods of a version that takes traffic are starting.",
        "Stopped": "`stopped` is true: there are no pods, and requests are refused.",
    },
    passes_on="a pod that does not start, for example `ModelLoadFailed`, `OOMKilled`, `ImagePullBackOff`, "
    "`Unschedulable`",
)
ROLLED_OUT: Final = ConditionType(
    name="RolledOut",
    meaning="How far a rollout has come, where `rollout` is given. Without it: there, and False, while a version that "
    "the object names cannot start and one that it does not name any more serves, or while the pods of a version that "
    "was changed cannot start and those from before serve.",
    true={"Completed": "Every request goes to the version that the object names."},
    false={
        "Waiting": "The new version has no ready pod yet.",
        "Progressing": "The new version has a share of the traffic.",
        "Paused": "The share stays, as a person asked.",
        "ErrorRate": "Taken back: more requests failed than of the version before, beyond margin and chance.",
        "Latency": "Taken back: more requests were slow.",
        "Predictions": "Taken back: more predictions differed than may.",
        "NotReady": "Taken back: no pod was ready in time.",
        "PodsLost": "Taken back: its pods were ready and are not any more.",
        "Aborted": "Taken back by a person.",
    },
    passes_on="a pod that does not start, as for `Ready`",
)
PROVEN: Final = ConditionType(
    name="Proven",
    meaning="There once a pod of every version that the object names has told what it found out before it took "
    "requests, or one of them has told what speaks against its version; `proofs` has the evidence.",
    true={
        "ExampleAnswered": "Every version answers its own input example, alike over every protocol that carries it.",
        "NoExample": "Every version loads, and one of them was asked for no prediction: the message says why.",
    },
    false={
        "ProtocolsDiffer": "A version answers its input example differently over one protocol than over another. It "
        "serves all the same.",
    },
    passes_on="a pod that does not start, as for `Ready`; of a model that fails on its own input example, for instance",
)
RECORDED: Final = ConditionType(
    name="Recorded",
    meaning="There once the table writer has tried to write rows of the endpoint, whose requests are answered either "
    "way.",
    true={"RowsWritten": "The last rows that came are in the table."},
    false={
        "StoreUnavailable": "The table's store does not answer, or not in time: rows wait in the pods, and are written "
        "when it does.",
        "AccessDenied": "The store refuses the credentials, or what they may do.",
        "SchemaMismatch": "The table has columns of other types, or lacks some.",
        "TableUnusable": "The table cannot be written, for the reason that the message tells.",
    },
)

MODEL_ENDPOINT: Final = CustomObject(
    kind=names.MODEL_ENDPOINT_KIND,
    plural=names.MODEL_ENDPOINT_PLURAL,
    short_name="mep",
    spec=ModelEndpointSpec,
    status=ModelEndpointStatus,
    conditions=(READY, ROLLED_OUT, PROVEN, RECORDED),
    columns=(
        Column(name="Ready", type="string", path=".status.conditions[?(@.type=='Ready')].status"),
        Column(name="Reason", type="string", path=".status.conditions[?(@.type=='Ready')].reason"),
        Column(name="Pods", type="integer", path=".status.readyPods"),
        Column(name="Versions", type="string", path=".spec.versions[*].name"),
        Column(name="Rollout", type="string", path=".status.rollout.phase"),
        Column(name="Runtime", type="string", path=".status.runtimes[*].runtime"),
        Column(name="Age", type="date", path=".metadata.creationTimestamp"),
    ),
)
