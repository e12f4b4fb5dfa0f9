"""From one command to a prediction: what `make demo` promises."""

import contextlib
import io
import json
import stat
from pathlib import Path
from typing import Any

from live_platform import Platform, eventually, run

from headrace.local import __main__ as command_line
from headrace.local import demo


def test_the_model_answers_through_the_whole_path_as_it_did_when_trained(platform: Platform) -> None:
    answer = platform.ask(platform.model.request)

    assert answer.status == 200
    assert answer.json == {"predictions": platform.model.expected}
    assert answer.headers["served-model-name"] == "v1"
    assert answer.headers["x-request-id"]


def test_the_description_for_other_tools_is_complete_and_private(platform: Platform) -> None:
    path = demo.description_file()

    told = {"url", "token", "ca_file", "endpoint", "kubeconfig", "stack", "traced"}
    assert set(json.loads(path.read_text())) == told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600  # it holds a token
    assert platform.description["url"].startswith("https://")
    assert Path(platform.description["ca_file"]).read_text().startswith("-----BEGIN CERTIFICATE-----")


def test_a_second_demo_changes_nothing_and_prints_a_curl_line_that_works(platform: Platform) -> None:
    uid = platform.kubectl("get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.uid}")
    printed = io.StringIO()

    with contextlib.redirect_stdout(printed):
        assert command_line.main(["demo"]) == 0

    assert platform.kubectl("get", "pods", "-A", "-o", "jsonpath={.items[*].metadata.uid}") == uid
    _, _, curl = printed.getvalue().partition("Ask again:\n\n")
    answered = run("bash", "-c", curl.partition("\n\n")[0])
    assert json.loads(answered.stdout) == {"predictions": platform.model.expected}, answered.stderr


def test_a_preview_after_the_demo_shows_no_change_even_when_the_autoscaler_moved_the_replicas(
    platform: Platform,
) -> None:
    namespace = "endpoint-breast-cancer"
    platform.kubectl("-n", namespace, "scale", "deployment", "v1", "--replicas=2")
    try:
        printed = platform.stack.up(platform.settings([platform.endpoint]), preview=True)
    finally:
        platform.kubectl("-n", namespace, "scale", "deployment", "v1", "--replicas=1")

    for verb in ("to create", "to update", "to delete", "to replace"):
        assert verb not in printed, printed


def test_status_for_scripts_is_json_and_says_that_all_runs(platform: Platform) -> None:
    printed = io.StringIO()

    with contextlib.redirect_stdout(printed):
        assert command_line.main(["status", "--json"]) == 0

    status = json.loads(printed.getvalue())
    assert status["registry"] is True
    if platform.cluster.embedded:
        assert status["cluster"]["stopped"] == []
        assert status["cluster"]["ready"] is True


def test_the_endpoint_says_what_its_version_proved_before_its_first_request(platform: Platform) -> None:
    def proven_object() -> Any:
        shown = platform.kubectl("-n", "endpoint-breast-cancer", "get", "modelendpoint", "breast-cancer", "-o", "json")
        found = json.loads(shown)
        return found if found["status"].get("proofs") else None

    told = eventually(proven_object)
    [proof] = told["status"]["proofs"]
    [proven] = [condition for condition in told["status"]["conditions"] if condition["type"] == "Proven"]

    assert (proven["status"], proven["reason"]) == ("True", "ExampleAnswered")
    assert (proof["version"], proof["image"]) == ("v1", told["spec"]["versions"][0]["image"])
    assert proof["protocols"] == ["invocations", "Open Inference REST", "Open Inference gRPC"]
    assert proof["differences"] == []
    assert proof["hasExample"] is True
    assert proof["loadSeconds"] > 0
    assert proof["callMilliseconds"] > 0
    assert proof["memoryMib"] > 50


def test_pulumi_up_tells_the_proof(platform: Platform) -> None:
    printed = platform.stack.up(platform.settings([platform.endpoint]))

    assert "Proven: v1 answers its input example alike over invocations" in printed


def test_kubectl_shows_an_operator_what_serves(platform: Platform) -> None:
    shown = platform.kubectl("get", "modelendpoints", "-A", "--no-headers").split()

    assert shown[:3] == ["endpoint-breast-cancer", "breast-cancer", "True"]
    assert "v1" in shown
