"""EndpointState: an endpoint's object and its versions' autoscalers, joined into what people ask for. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from headrace.contract import names
from headrace.contract.endpoint_cost import EndpointCost
from headrace.contract.model_endpoint import READY, ROLLED_OUT

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class VersionState:
    """One version that the endpoint names."""

    name: str
    model_uri: str
    weight: int
    """Share of the traffic, in percent."""
    shadow: int
    """Share of the traffic, in percent, that is mirrored to the version."""
    runtime: str
    ready_pods: int | None
    """None where no autoscaler tells; so with what follows."""
    wanted_pods: int | None
    concurrency: int | None
    """Requests that one pod admits at once."""
    demand: str | None
    """Requests that want to be served at once on average."""
    why: str
    """The autoscaler's reason in a word; empty where it gives none."""
    cost: EndpointCost | None
    """Of its pods; None where no price is known."""

    @classmethod
    def of(cls, version: Object, autoscaler: Object | None) -> Self:
        """From an entry of the endpoint's `spec.versions`, and the object of that name."""
        status = {} if autoscaler is None else autoscaler.get("status", {})
        return cls(
            name=version["name"],
            model_uri=version.get("modelUri", ""),
            weight=version.get("weight", 100),
            shadow=version.get("shadow", 0),
            runtime=version.get("runtime", "mlflow"),
            ready_pods=status.get("readyReplicas"),
            wanted_pods=status.get("desiredReplicas"),
            concurrency=status.get("concurrency"),
            demand=status.get("demand"),
            why=status.get("reason", ""),
            cost=EndpointCost.of([] if autoscaler is None else [autoscaler]),
        )


@dataclass(frozen=True, kw_only=True)
class ConditionState:
    """One condition of the endpoint's object."""

    type: str
    holds: bool | None
    """None: Unknown."""
    reason: str
    message: str
    since: str
    """RFC 3339, in UTC."""

    @classmethod
    def of(cls, condition: Object) -> Self:
        """From an entry of `status.conditions`."""
        return cls(
            type=condition["type"],
            holds={"True": True, "False": False}.get(condition["status"]),
            reason=condition.get("reason", ""),
            message=condition.get("message", ""),
            since=condition.get("lastTransitionTime", ""),
        )


@dataclass(frozen=True, kw_only=True)
class EndpointState:
    """One endpoint."""

    name: str
    namespace: str
    conditions: tuple[ConditionState, ...]
    """Empty while no control plane has looked at the object."""
    versions: tuple[VersionState, ...]
    proofs: tuple[Object, ...]
    """What a pod of each version found out before it took requests, as the object has it."""
    cost: EndpointCost | None
    """Of the pods of all versions that there are, of one that goes too; None where the price of one is not known."""

    @classmethod
    def of(cls, endpoint: Object, autoscalers: Iterable[Object]) -> Self:
        """From the object, and the AutopilotPodAutoscalers of its namespace or of all."""
        name, namespace = endpoint["metadata"]["name"], endpoint["metadata"].get("namespace", "")
        own = {
            each["metadata"]["name"]: each for each in autoscalers if each["metadata"].get("namespace", "") == namespace
        }
        status = endpoint.get("status", {})
        return cls(
            name=name,
            namespace=namespace,
            conditions=tuple(map(ConditionState.of, status.get("conditions", ()))),
            versions=tuple(
                VersionState.of(version, own.get(version["name"]))
                for version in endpoint.get("spec", {}).get("versions", ())
            ),
            proofs=tuple(status.get("proofs", ())),
            cost=EndpointCost.of(own.values()),
        )

    @property
    def ready(self) -> bool:
        """Whether requests are answered."""
        found = self.condition(READY.name)
        return found is not None and found.holds is True

    @property
    def well(self) -> bool:
        """Whether requests are answered by what the object names: no version is held up."""
        rolled_out = self.condition(ROLLED_OUT.name)
        return self.ready and (rolled_out is None or rolled_out.holds is not False)

    @property
    def word(self) -> str:
        """The state in a word: `Ready`, or why not."""
        ready, rolled_out = self.condition(READY.name), self.condition(ROLLED_OUT.name)
        if ready is None:
            return "NotSeen"
        if ready.holds and rolled_out is not None and rolled_out.holds is False:
            return rolled_out.reason
        return READY.name if ready.holds else ready.reason

    def condition(self, kind: str) -> ConditionState | None:
        """The condition of that type."""
        return next((each for each in self.conditions if each.type == kind), None)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "name": self.name,
            "namespace": self.namespace,
            "state": self.word,
            "ready": self.ready,
            "well": self.well,
            "path": names.invocations_path(self.name),
            "versions": [asdict(version) for version in self.versions],
            "conditions": [asdict(condition) for condition in self.conditions],
            "proofs": [dict(proof) for proof in self.proofs],
            "cost": None if self.cost is None else asdict(self.cost),
        }
