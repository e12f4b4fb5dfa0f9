"""PlatformHealth: whether the platform's own programs run."""

from dataclasses import dataclass
from typing import Final

from headrace.contract import names
from headrace.kube.api_server import ApiServer, Object

_DEPLOYMENTS: Final = f"/apis/apps/v1/namespaces/{names.SYSTEM_NAMESPACE}/deployments"


@dataclass(frozen=True, kw_only=True)
class ProgramHealth:
    """One program."""

    name: str
    ready: int
    """Pods that are ready."""
    wanted: int
    """Pods that there shall be."""
    message: str
    """Why there are fewer, in Kubernetes' words; empty where there are not."""

    @property
    def well(self) -> bool:
        """Whether all pods are ready."""
        return self.ready >= self.wanted


def program_of(item: Object) -> ProgramHealth:
    """From a Deployment as JSON."""
    status = item.get("status") or {}
    ready, wanted = status.get("readyReplicas", 0), (item.get("spec") or {}).get("replicas", 1)
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    said = (conditions.get(kind, {}) for kind in ("Available", "Progressing"))
    message = next((each.get("message", "") for each in said if each.get("status") == "False"), "")
    return ProgramHealth(
        name=item["metadata"]["name"], ready=ready, wanted=wanted, message=message if ready < wanted else ""
    )


class PlatformHealth:
    """Asks the API server."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server

    def programs(self) -> list[ProgramHealth]:
        """By name. Raises TemporaryError."""
        found = [program_of(item) for page, _ in self._server.pages(_DEPLOYMENTS) for item in page]
        return sorted(found, key=lambda program: program.name)
