"""The command line on the platform that runs: what people and scripts see of the demo's endpoint."""

import json
import subprocess
import sys
from typing import Any

import pytest
from live_platform import Platform, eventually

from headrace.contract import console
from headrace.local import demo_identity, demo_model

ACCOUNT = f"{demo_identity.NAMESPACE}/{demo_identity.NAME}"


class CommandLine:
    """`headrace` with the kubeconfig of the platform."""

    def __init__(self, platform: Platform) -> None:
        self._kubeconfig = platform.description["kubeconfig"]

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "headrace.cli", *arguments, "--kubeconfig", self._kubeconfig]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def headrace(platform: Platform) -> CommandLine:
    return CommandLine(platform)


def test_status_shows_the_endpoint_with_its_pods(headrace: CommandLine) -> None:
    (state,) = [each for each in headrace.json("status") if each["name"] == demo_model.NAME]
    assert state["state"] == "Ready"
    (version,) = state["versions"]
    assert version["weight"] == 100
    assert version["ready_pods"] >= 1
    assert demo_model.NAME in headrace.run("status").stdout


def test_query_answers_as_the_model_was_trained(headrace: CommandLine, platform: Platform) -> None:
    body = json.dumps(platform.model.request)
    asked = headrace.run("query", demo_model.NAME, "--as", ACCOUNT, "--data", "@-", text=body)
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["predictions"] == platform.model.expected
    assert asked.stderr.startswith("200 OK, ")


def test_a_query_that_is_refused_prints_the_refusal_and_ends_with_1(headrace: CommandLine) -> None:
    asked = headrace.run("query", demo_model.NAME, "--as", ACCOUNT, "--data", "{")
    assert asked.returncode == 1
    assert json.loads(asked.stdout)["error_code"] == "BAD_REQUEST"
    nobody = headrace.run("query", demo_model.NAME, "--as", "default/nobody", "--data", "{}")
    assert nobody.returncode == 2
    assert "must be the NAMESPACE/NAME of a ServiceAccount" in nobody.stderr


def test_why_tells_decisions_and_conditions(headrace: CommandLine) -> None:
    found = headrace.json("why", demo_model.NAME)
    assert "condition" in {each["source"] for each in found}
    assert any(each["sentence"].startswith("is Ready") for each in found)


def test_plot_has_the_load_that_the_console_shows_the_caller(headrace: CommandLine, platform: Platform) -> None:
    def pods() -> Any:
        load = json.loads(headrace.run("plot", demo_model.NAME, "--as", ACCOUNT, "--json").stdout)["load"]
        return load and load["lines"]["pods"]

    assert eventually(pods, seconds=20)
    opened = headrace.run("open", demo_model.NAME, "--print")
    assert opened.stdout == f"{platform.description['url']}{console.endpoint_path(demo_model.NAME)}\n"


def test_logs_have_what_the_pods_wrote(headrace: CommandLine) -> None:
    done = headrace.run("logs", demo_model.NAME, "--since", "1d", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all({"timestamp", "severity_text", "body", "component", "pod"} <= set(line) for line in lines)
    (ready, *_) = [line for line in lines if line["component"] == "front" and "is ready" in line["body"]]
    assert (ready["endpoint"], ready["scope"]) == (demo_model.NAME, "headrace.front")


def test_logs_of_one_request_are_those_of_every_program_that_it_passed(headrace: CommandLine) -> None:
    refused = headrace.run("query", demo_model.NAME, "--as", ACCOUNT, "--data", "{")
    request = refused.stderr.rpartition("request ")[2].strip()
    assert len(request) >= 32, refused.stderr

    def lines() -> dict[str, Any] | None:
        done = headrace.run("logs", demo_model.NAME, "--since", "10m", "--request", request, "--json")
        found = {line["component"]: line for line in map(json.loads, done.stdout.splitlines())}
        return found if {"pop-proxy", "load-balancer", "front"} <= set(found) else None

    found = eventually(lines, seconds=30)
    for line in found.values():
        assert (line["request_id"], line["endpoint"]) == (request, demo_model.NAME)
        assert line["attributes"]["http.response.status_code"] == 400

    def kept() -> dict[str, Any] | None:
        done = headrace.run("logs", demo_model.NAME, "--since", "10m", "--request", request, "--json", "--from-table")
        rows = {line["component"]: line for line in map(json.loads, done.stdout.splitlines())}
        return rows if set(found) <= set(rows) else None

    rows = eventually(kept, seconds=30)
    alike = ("body", "severity_text", "endpoint", "request_id", "pod", "trace_id")
    for component, line in found.items():
        assert {name: rows[component].get(name) for name in alike} == {name: line.get(name) for name in alike}


def test_the_doctor_finds_nothing_wrong(headrace: CommandLine) -> None:
    found = headrace.json("doctor")
    assert {each["check"] for each in found} >= {"version", "rights", "nodes", "kinds", "platform", "address", "clock"}
    assert [each for each in found if each["verdict"] == "wrong"] == []
