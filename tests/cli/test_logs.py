"""`headrace logs`: what its options may be, and what it prints and ends with."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from headrace.cli import options
from headrace.cli.__main__ import app
from headrace.cli.logs import checked, seconds_of
from headrace.contract import names
from headrace.contract.errors import InputError, TemporaryError


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400)])
def test_a_time_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "0s", "-5m", "5 m", "1w"])
def test_any_other_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="must be a number above 0 and a unit, such as 5m"):
        seconds_of(text)


def test_all_options_that_cannot_be_used_are_told_at_once() -> None:
    with pytest.raises(InputError) as told:
        checked("proxy", from_table=True, follow=True)
    assert [fault.partition(",")[0] for fault in told.value.faults] == [
        "--component = 'proxy'",
        "--follow and --from-table",
    ]


class StandInCluster:
    """What a ClusterReader would read: a pod of the endpoint, a PopProxy, and their lines."""

    def __init__(self) -> None:
        self.system_allowed = True
        self.lines: dict[str, list[str]] = {}

    def endpoint(self, name: str) -> dict[str, Any]:
        return {"metadata": {"name": name}}

    def pods(self, namespace: str, labels: dict[str, str] | None = None) -> list[dict[str, Any]]:
        del labels
        if namespace != names.SYSTEM_NAMESPACE:
            known = {names.VERSION_LABEL: "v7"}
            return [{"metadata": {"name": "v7-a", "labels": known}, "spec": {"containers": [{"name": "model"}]}}]
        if not self.system_allowed:
            raise TemporaryError("API server answered 403: pods is forbidden")
        known = {names.COMPONENT_LABEL: names.POP_PROXY}
        return [{"metadata": {"name": "pop-a", "labels": known}, "spec": {"containers": [{"name": "envoy"}]}}]

    def log_lines(self, namespace: str, pod: str, **asked: object) -> list[str]:
        del namespace, asked
        return self.lines.get(pod, [])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> StandInCluster:
    made = StandInCluster()
    made.lines = {
        "v7-a": [
            '2026-12-01T10:00:00.1Z {"timestamp":"…","severity_text":"INFO","body":"ready","component":"front"}',
            '2026-12-01T10:00:02.1Z {"severity_text":"ERROR","body":"it failed","component":"model","request_id":"r1"}',
        ],
        "pop-a": [
            '2026-12-01T10:00:03.1Z {"severity_text":"WARN","body":"500","component":"pop-proxy","endpoint":"fraud",'
            '"request_id":"r1"}',
            '2026-12-01T10:00:03.2Z {"severity_text":"WARN","body":"404","component":"pop-proxy","endpoint":"other"}',
        ],
    }
    monkeypatch.setattr(options, "connected", lambda *_: made)
    monkeypatch.setenv("HEADRACE_STATE", str(tmp_path))
    return made


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["logs", "fraud", *arguments])
    return done.exit_code, done.stdout, done.stderr


def bodies(*arguments: str) -> list[str]:
    status, told, _ = run("--json", *arguments)
    found = [json.loads(line)["body"] for line in told.splitlines()]
    assert status == (0 if found else 1)
    return found


def test_lines_of_pods_and_of_proxies_come_by_time(cluster: StandInCluster) -> None:
    assert bodies() == ["ready", "it failed", "500"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("--request", "r1"), ["it failed", "500"]),
        (("--component", "model"), ["it failed"]),
        (("--component", "pop"), ["500"]),
        (("--component", "balancer"), []),
        (("--version", "v8"), ["500"]),  # of a proxy that says of none
        (("--tail", "1"), ["500"]),
    ],
)
def test_options_choose_among_them(cluster: StandInCluster, asked: tuple[str, ...], found: list[str]) -> None:
    assert bodies(*asked) == found


def test_who_may_not_read_the_platforms_pods_gets_the_endpoints(cluster: StandInCluster) -> None:
    cluster.system_allowed = False
    status, told, said = run()
    assert (status, len(told.splitlines())) == (0, 2)
    assert said == "lines of the platform's own programs are left out: API server answered 403: pods is forbidden\n"


def test_people_see_time_component_pod_severity_and_body(cluster: StandInCluster) -> None:
    _, told, _ = run("--component", "model")
    assert told == "2026-12-01T10:00:02.1Z  model         v7-a ERROR it failed request=r1\n"


def test_a_table_that_is_nowhere_is_told_where_it_is_asked_for(cluster: StandInCluster) -> None:
    status, _, said = run("--from-table", "--uri", "/nowhere")
    assert status == 2
    assert "--uri = '/nowhere', must be the table of logs or the folder it is in" in said
