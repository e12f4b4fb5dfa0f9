"""VisibleEndpoints: what a caller sees of the endpoints that it may call; others do not exist for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.contract import names
from headrace.contract.apa import AUTOPILOT_POD_AUTOSCALER
from headrace.contract.caller import Caller
from headrace.contract.endpoint_state import EndpointState
from headrace.contract.errors import InputError
from headrace.contract.model_endpoint import MODEL_ENDPOINT, ModelEndpointSpec
from headrace.kube.api_server import ApiServer, Missing, Object
from headrace.kube.informer import Informer
from headrace.kube.watched import Watched

_KINDS: Final = f"/apis/{names.API_GROUP}/{names.API_VERSION}"
_ROLLOUT: Final = ("version", "former", "phase", "weight", "reason", "message")


@dataclass(frozen=True, kw_only=True)
class HeldEndpoint:
    """What is held of a ModelEndpoint, of thousands of which the rest would be most of the memory."""

    name: str
    spec: ModelEndpointSpec
    item: Object
    """What a list shows of the object."""

    def state(self, autoscalers: Iterable[Object]) -> EndpointState:
        """As a list shows it."""
        return EndpointState.of(self.item, autoscalers)

    @property
    def rollout(self) -> Mapping[str, Any] | None:
        """How far a rollout has come; None where there was none."""
        found: Mapping[str, Any] | None = self.item["status"]["rollout"]
        return found


@dataclass(frozen=True, kw_only=True)
class EndpointDetail:
    """One endpoint as it is now."""

    held: HeldEndpoint
    state: EndpointState
    status: Mapping[str, Any]
    """Of the object, whole."""
    autoscalers: Mapping[str, Object]
    """Of its versions, by name."""

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """What the autoscaler ordered last, each with its `version`, the newest first."""
        found = [
            {**decision, "version": name}
            for name, item in self.autoscalers.items()
            for decision in (item.get("status") or {}).get("decisions") or ()
        ]
        return sorted(found, key=lambda decision: str(decision.get("time", "")), reverse=True)


def held(item: Object) -> HeldEndpoint | None:
    """Of an object; None where nobody can say who may call it, or it has another's name."""
    described, status = item["metadata"], item.get("status") or {}
    try:
        spec = ModelEndpointSpec.from_json(item.get("spec") or {})
    except InputError:
        return None
    if described.get("namespace") != names.endpoint_namespace(described["name"]):
        return None
    rollout = status.get("rollout")
    shown = {
        "metadata": {"name": described["name"], "namespace": described["namespace"]},
        "spec": {"versions": item["spec"]["versions"]},
        "status": {
            "conditions": status.get("conditions") or [],
            "rollout": None if rollout is None else {key: rollout.get(key, "") for key in _ROLLOUT},
        },
    }
    return HeldEndpoint(name=described["name"], spec=spec, item=shown)


def summarised(item: Object) -> Object:
    """What a list shows of an AutopilotPodAutoscaler: without the decisions, which are most of it."""
    status = item.get("status") or {}
    kept = ("readyReplicas", "desiredReplicas", "concurrency", "demand", "reason")
    return {
        "metadata": {key: item["metadata"].get(key, "") for key in ("name", "namespace")},
        "spec": item.get("spec") or {},  # for what its pods cost
        "status": {key: status[key] for key in kept if key in status},
    }


class VisibleEndpoints(Watched):
    """Lists from caches, one endpoint from the API server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self.endpoints = Informer(server, MODEL_ENDPOINT.path, transform=held)
        self.autoscalers = Informer(
            server,
            AUTOPILOT_POD_AUTOSCALER.path,
            transform=summarised,
            group=lambda item: item["metadata"]["namespace"],
        )
        super().__init__(self.endpoints, self.autoscalers)

    def listed(self, caller: Caller, containing: str = "") -> list[HeldEndpoint]:
        """Those that the caller may call and whose name has that part, by name."""
        known = (each for each in self.endpoints.all() if each is not None)
        found = (each for each in known if each.spec.admits(caller) and containing in each.name)
        return sorted(found, key=lambda each: each.name)

    def state(self, endpoint: HeldEndpoint) -> EndpointState:
        """Of one that was listed."""
        return endpoint.state(self.autoscalers.of(names.endpoint_namespace(endpoint.name)))

    def detail(self, name: str, caller: Caller) -> EndpointDetail | None:
        """One that the caller may call, read now; None where there is none for it. Raises TemporaryError."""
        if names.DNS_LABEL.fullmatch(name) is None:
            return None
        place = f"{_KINDS}/namespaces/{names.endpoint_namespace(name)}"
        try:
            item = self._server.get(f"{place}/{names.MODEL_ENDPOINT_PLURAL}/{name}")
        except Missing:
            return None
        found = held(item)
        if found is None or not found.spec.admits(caller):
            return None
        scalers = {
            scaler["metadata"]["name"]: scaler
            for page, _ in self._server.pages(f"{place}/{names.APA_PLURAL}")
            for scaler in page
        }
        state = EndpointState.of(item, scalers.values())
        return EndpointDetail(held=found, state=state, status=item.get("status") or {}, autoscalers=scalers)
