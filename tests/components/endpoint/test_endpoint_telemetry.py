"""An endpoint that records nothing: its pods send spans and lines on where the platform has a Collector."""

from typing import Any, Final

import pytest
from pod_security import violations
from stand_ins import DELIVERY, FOUND

from headrace.components import ModelEndpoint
from headrace.components.testing import record
from headrace.contract import inference_table, log_line, names, telemetry
from headrace.stacks.forecast.room import requests

pytestmark = pytest.mark.usefixtures("stand_in_images")
COLLECTOR: Final = "10.96.0.7:4318"
MOUNTED: Final = {"name": "telemetry", "mountPath": inference_table.RECORDS_DIRECTORY}


def endpoint(**platform: Any) -> Any:
    def program() -> None:
        known = {"namespace": "headrace-system", "url": "https://x", "image_delivery": DELIVERY, "image_base": {}}
        ref: Any = {**known, **platform}
        ModelEndpoint("fraud", {"platform": ref, "model_uri": "models:/fraud/7"})

    return record(program, answers=FOUND)


def pod(recording: Any) -> Any:
    return recording.named("fraud-v7-deployment").inputs["spec"]["template"]["spec"]


def variables(container: Any) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


def test_its_pods_leave_spans_and_lines_to_a_sidecar_without_a_token_and_a_writer() -> None:
    found = pod(endpoint(collector=COLLECTOR))
    [sidecar], [model] = found["initContainers"], found["containers"]

    assert list(violations(found)) == []
    assert (sidecar["image"], sidecar["restartPolicy"]) == (model["image"], "Always")
    assert variables(sidecar) == {
        names.ENV_ENDPOINT: "fraud", names.ENV_VERSION: "v7", telemetry.ENV_COLLECTOR: COLLECTOR,
    }  # fmt: skip
    told = variables(model)
    assert told[telemetry.ENV_COLLECTOR] == COLLECTOR
    assert told[telemetry.ENV_SPAN_SPOOL].startswith(f"{MOUNTED['mountPath']}/")
    assert told[log_line.ENV_LOG_SPOOL].startswith(f"{MOUNTED['mountPath']}/")
    assert inference_table.ENV_RECORDING not in told, "no request and no answer is kept"
    assert MOUNTED in sidecar["volumeMounts"]
    assert MOUNTED in model["volumeMounts"]
    [volume] = [each for each in found["volumes"] if each["name"] == "telemetry"]
    assert volume["emptyDir"]["sizeLimit"] == sidecar["resources"]["limits"]["ephemeral-storage"]
    assert "token" not in str(found["volumes"])


def test_where_the_platform_has_no_collector_its_pods_are_of_one_container() -> None:
    found = pod(endpoint())
    [model] = found["containers"]

    assert found["initContainers"] == []
    assert MOUNTED not in model["volumeMounts"]
    assert {each["name"] for each in found["volumes"]} == {"scratch"}
    assert not any(variables(model)[name] for name in (telemetry.ENV_COLLECTOR, telemetry.ENV_SPAN_SPOOL))


def test_it_reaches_the_collector_and_not_the_table_writer() -> None:
    [rule] = endpoint(collector=COLLECTOR).named("fraud-policy").inputs["spec"]["egress"]
    [peer] = rule["to"]

    assert peer["podSelector"]["matchLabels"] == {names.COMPONENT_LABEL: names.COLLECTOR}
    assert [port["port"] for port in rule["ports"]] == [names.OTLP_GRPC_PORT, names.OTLP_HTTP_PORT]


def test_a_forecast_counts_the_sidecar_where_it_is_known_and_not_where_only_the_update_knows() -> None:
    with_sidecar, without = (requests(pod(endpoint(**known))) for known in ({"collector": COLLECTOR}, {}))

    assert with_sidecar["memory"] - without["memory"] == 64 * 1024**2
    assert requests({**pod(endpoint()), "initContainers": object()}) == without
