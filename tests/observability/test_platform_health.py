"""PlatformHealth: programs with pods that are missing say why."""

from typing import Any

from headrace.observability.console.platform_health import PlatformHealth, ProgramHealth


def deployment(name: str, wanted: int, ready: int, *conditions: tuple[str, str, str]) -> dict[str, Any]:
    said = [{"type": kind, "status": status, "message": message} for kind, status, message in conditions]
    status = {"conditions": said, **({"readyReplicas": ready} if ready else {})}
    return {"metadata": {"name": name}, "spec": {"replicas": wanted}, "status": status}


class Server:
    def pages(self, path: str) -> Any:
        assert path == "/apis/apps/v1/namespaces/headrace-system/deployments"
        yield [deployment("routing", 2, 2, ("Available", "True", "has minimum availability"))], "1"
        yield [deployment("pop-proxy", 2, 0, ("Available", "False", "has no minimum availability"))], "1"
        yield [deployment("asleep", 0, 0)], "1"


def test_programs_are_told_by_name_with_what_is_wrong() -> None:
    server: Any = Server()

    found = PlatformHealth(server).programs()

    assert found == [
        ProgramHealth(name="asleep", ready=0, wanted=0, message=""),
        ProgramHealth(name="pop-proxy", ready=0, wanted=2, message="has no minimum availability"),
        ProgramHealth(name="routing", ready=2, wanted=2, message=""),
    ]
    assert [program.well for program in found] == [True, False, True]
