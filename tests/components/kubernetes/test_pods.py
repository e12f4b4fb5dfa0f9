"""Pod templates, judged as data."""

import json
from typing import Any

import pytest
from pod_security import violations

from headrace.components.endpoint.model_pod import PRE_STOP_SECONDS
from headrace.components.endpoint.model_pod import model_pod as template
from headrace.components.endpoint.runtime_choice import choose
from headrace.components.endpoint.selection.choice import Runtime
from headrace.components.endpoint.sizing import allotment, start_seconds
from headrace.components.kubernetes import network_policies
from headrace.components.platform.controller_pod import controller_pod
from headrace.components.platform.prometheus_pod import prometheus_pod
from headrace.components.platform.proxy_pod import proxy_pod
from headrace.contract import names
from headrace.contract.runtime import ENV_ENGINE, EnginePlan

IMAGE = "registry.example/image@sha256:" + "a" * 64


def model_pod(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "endpoint": "fraud",
        "version": "v7",
        "image": IMAGE,
        "labels": {"team": "risk"},
        "allotment": allotment(Runtime.MLFLOW, 2_000_000),
        "timeout_seconds": 297.0,
        "start_seconds": 300,
    }
    return template(**{**given, **changes})


PODS = {
    "model": model_pod(),
    "pop-proxy": proxy_pod(
        names.POP_PROXY, image=IMAGE, labels={}, port=8443, bootstrap={}, tls_secret="pop-proxy-tls"
    ),
    "load-balancer": proxy_pod(names.LOAD_BALANCER, image=IMAGE, labels={}, port=8080, bootstrap={}),
    "control plane": controller_pod(names.ROUTING, image=IMAGE, labels={}, ports={"xds": names.XDS_PORT}),
    "management": controller_pod(names.MANAGEMENT, image=IMAGE, labels={}, ports={"http": names.MANAGEMENT_PORT}),
    "rollout": controller_pod(names.ROLLOUT, module="routing.rollout", image=IMAGE, labels={}, ports={}),
    "autoscaler": controller_pod(names.AUTOSCALER, image=IMAGE, labels={}, ports={}),
    "prometheus": prometheus_pod(network_policies.PROMETHEUS, image=IMAGE, labels={}, config={}, memory_mib=512),
}


@pytest.fixture(params=PODS, ids=str)
def pod(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The spec of each kind of pod."""
    spec: dict[str, Any] = PODS[request.param]["spec"]
    return spec


def test_every_pod_is_admitted_under_the_restricted_standard(pod: dict[str, Any]) -> None:
    assert list(violations(pod)) == []


def test_every_root_file_system_is_read_only_and_scratch_space_is_capped(pod: dict[str, Any]) -> None:
    assert all(container["securityContext"]["readOnlyRootFilesystem"] for container in pod["containers"])
    scratch = [volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume]
    assert scratch
    assert all(volume["sizeLimit"] for volume in scratch)


def test_no_pod_runs_without_bounds(pod: dict[str, Any]) -> None:
    for container in pod["containers"]:
        resources = container["resources"]
        assert {"cpu", "memory", "ephemeral-storage"} <= resources["requests"].keys()
        assert {"memory", "ephemeral-storage"} <= resources["limits"].keys()
        assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_alive_and_ready_are_different_questions(pod: dict[str, Any]) -> None:
    """A busy pod must leave the balancer's list and not be killed for it."""
    for container in pod["containers"]:
        ready, alive = container["readinessProbe"], container["livenessProbe"]
        assert ready != alive
        assert alive["periodSeconds"] * alive["failureThreshold"] > ready["periodSeconds"] * ready["failureThreshold"]


def test_only_programs_that_talk_to_the_api_server_hold_a_token() -> None:
    holders = [kind for kind, pod in PODS.items() if pod["spec"]["automountServiceAccountToken"]]

    assert holders == ["control plane", "management", "rollout", "autoscaler"]


def test_a_pod_that_leaves_serves_on_until_every_proxy_has_heard() -> None:
    (model,) = PODS["model"]["spec"]["containers"]

    assert model["lifecycle"]["preStop"]["sleep"]["seconds"] == PRE_STOP_SECONDS


@pytest.mark.parametrize("timeout_seconds", [0.5, 10.0, 297.0])
def test_a_model_pod_is_not_killed_while_a_request_it_accepted_may_still_run(timeout_seconds: float) -> None:
    pod = model_pod(timeout_seconds=timeout_seconds)
    environment = {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}

    drain = int(environment[names.ENV_GRACE_SECONDS])
    serves_on, stops = 5, 2  # as the front does it
    assert drain - serves_on - stops >= timeout_seconds
    assert pod["spec"]["terminationGracePeriodSeconds"] > PRE_STOP_SECONDS + drain


def test_a_model_pod_may_take_its_time_to_load_and_is_then_watched_closely() -> None:
    (container,) = model_pod(start_seconds=900)["spec"]["containers"]

    assert 900 <= _waits(container["startupProbe"]) <= 920
    assert container["readinessProbe"]["httpGet"]["path"] == "/ping"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"


def test_a_pod_that_starts_is_seen_as_soon_as_it_is_ready() -> None:
    """A start of three seconds is not held up by the kubelet, which may take a second to write any other result."""
    (container,) = model_pod()["spec"]["containers"]
    started, ready = container["startupProbe"], container["readinessProbe"]

    assert started["httpGet"]["path"] == "/ping?wait=5"
    assert started["timeoutSeconds"] > 5  # the front's 503 comes before the kubelet's own end
    assert started["periodSeconds"] == 1  # a front that does not listen yet is asked again soon
    assert ready["periodSeconds"] >= 3  # the kubelet looks first when it has made the pod


def test_a_front_that_does_not_listen_yet_does_not_use_up_a_short_start() -> None:
    (container,) = model_pod(start_seconds=1)["spec"]["containers"]

    assert container["startupProbe"]["failureThreshold"] > 3


def _waits(probe: dict[str, Any]) -> int:
    """Seconds until a startup probe gives up on a front that holds its answers back."""
    held = int(probe["httpGet"]["path"].removeprefix("/ping?wait="))
    return int(held * probe["failureThreshold"])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"hostNetwork": True}, "hostNetwork"),
        ({"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}, "volume x"),
        ({"securityContext": {}}, "seccompProfile"),
    ],
)
def test_the_judge_of_these_tests_finds_what_it_must(change: dict[str, Any], rule: str) -> None:
    assert rule in list(violations({**PODS["model"]["spec"], **change}))


CHAT: dict[str, Any] = {
    "flavors": {
        "transformers": {
            "task": "text-generation",
            "model_binary": "model",
            "torch_dtype": "torch.bfloat16",
            "components": ["tokenizer"],
        },
        "python_function": {"loader_module": "mlflow.transformers"},
    },
    "metadata": {"task": "llm/v1/chat"},
    "model_size_bytes": 141_000_000_000,
}


def engine_pod(**runtime: Any) -> dict[str, Any]:
    """A language model of 70 billion parameters, as a preview renders it."""
    choice = choose(CHAT, {"arguments": ["--max-model-len=32k"], **runtime})
    size = CHAT["model_size_bytes"]
    given = allotment(choice.runtime, size, flavors=CHAT["flavors"], gpus=choice.gpus)
    return model_pod(allotment=given, start_seconds=start_seconds(choice.runtime, size), engine=choice.engine)


def test_an_engines_pod_gets_its_gpus_shared_memory_and_time_to_start() -> None:
    spec = engine_pod()["spec"]
    (container,) = spec["containers"]

    assert (
        container["resources"]["limits"]["nvidia.com/gpu"]
        == container["resources"]["requests"]["nvidia.com/gpu"]
        == "2"
    )
    assert container["resources"]["requests"]["cpu"] == container["resources"]["limits"]["cpu"] == "4000m"
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in container["volumeMounts"]
    (shared,) = [volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "shared-memory"]
    assert shared == {"medium": "Memory", "sizeLimit": "2048Mi"}
    assert container["startupProbe"]["httpGet"]["path"] == "/ping?wait=5"
    assert 5 * container["startupProbe"]["failureThreshold"] > 3000
    assert list(violations(spec)) == []


def test_an_engines_pod_is_told_how_to_start_it() -> None:
    (container,) = engine_pod()["spec"]["containers"]
    (text,) = [variable["value"] for variable in container["env"] if variable["name"] == ENV_ENGINE]
    command = EnginePlan.from_json(json.loads(text)).command

    assert command[:5] == ("{python}", "-m", "vllm.entrypoints.cli.main", "serve", "{model}/model")
    assert {"--tensor-parallel-size=2", "--quantization=fp8", "--tokenizer={model}/components/tokenizer"} <= set(
        command
    )
    assert command[-1] == "--max-model-len=32k"


@pytest.mark.parametrize(
    ("runtime", "gpus"),
    [
        ({"gpu_memory_gib": 40, "gpu_has_fp8": False}, 8),
        ({"gpu_memory_gib": 24}, 4),
        ({"gpu_has_fp8": False}, 4),
        ({"gpus": 8}, 8),
    ],
)
def test_a_model_is_spread_over_as_many_gpus_as_the_pod_gets(runtime: dict[str, Any], gpus: int) -> None:
    spec = engine_pod(**runtime)["spec"]
    (container,) = spec["containers"]
    (text,) = [variable["value"] for variable in container["env"] if variable["name"] == ENV_ENGINE]
    (shared,) = [volume["emptyDir"] for volume in spec["volumes"] if volume["name"] == "shared-memory"]

    assert container["resources"]["requests"]["nvidia.com/gpu"] == str(gpus)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == str(gpus)
    assert f"--tensor-parallel-size={gpus}" in EnginePlan.from_json(json.loads(text)).command
    assert shared["sizeLimit"] == f"{1024 * gpus}Mi", "through which the processes of the GPUs talk"
    assert ("--quantization=fp8" in text) == runtime.get("gpu_has_fp8", True)


def test_a_pod_of_our_own_workers_gets_gpus_too_and_loads_the_model_once() -> None:
    given = allotment(Runtime.MLFLOW, 468_000_000, cpu=4, gpus=1)
    spec = model_pod(allotment=given)["spec"]
    (container,) = spec["containers"]

    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert container["resources"]["requests"]["cpu"] == container["resources"]["limits"]["cpu"] == "4000m"
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert {"name": names.ENV_WORKERS, "value": "1"} in container["env"]
    assert list(violations(spec)) == []


def test_a_pod_of_our_own_workers_has_none_of_that() -> None:
    (container,) = model_pod()["spec"]["containers"]

    assert "tolerations" not in model_pod()["spec"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert not {ENV_ENGINE, names.ENV_WORKERS} & {variable["name"] for variable in container["env"]}
