"""EndpointTelemetry: what sends an endpoint's spans and lines on, with or without an inference table, as parts of pods.

A pod that records has a sidecar for it anyway. Any other has a smaller one where its platform has a Collector: without
a token, and without a byte of what is asked and answered.
"""

from dataclasses import replace
from typing import Any, Final

import pulumi

from headrace.components.endpoint.model_pod import PodNeeds, TelemetryParts
from headrace.components.kubernetes import pods
from headrace.components.kubernetes.manifests import Manifest
from headrace.contract import inference_table, log_line, names, telemetry

_MEMORY: Final = "64Mi"
_SPOOL: Final = "48Mi"
"""16 MiB of lines and as many of what spans are made of, and what filesystems add."""
_VOLUME: Final = "telemetry"


def collector_of(platform: pulumi.Output[Any]) -> pulumi.Output[str]:
    """Address and port of the platform's Collector; empty where it has none."""
    return platform.apply(lambda known: str(known.get("collector") or ""))


def telemetry_variables(collector: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """Of the model's container, which leaves lines and spans to a sidecar where there is a Collector."""
    known = pulumi.Output.from_input(collector)
    return {
        telemetry.ENV_COLLECTOR: known,
        log_line.ENV_LOG_SPOOL: known.apply(lambda address: log_line.SPOOL_DIRECTORY if address else ""),
        telemetry.ENV_SPAN_SPOOL: known.apply(lambda address: telemetry.SPAN_SPOOL_DIRECTORY if address else ""),
    }


def with_telemetry(
    needs: PodNeeds, *, endpoint: str, version: str, image: pulumi.Input[str], collector: pulumi.Output[str]
) -> PodNeeds:
    """The needs of a pod that does not record: spans and lines of its requests alone."""
    mount: Manifest = {"name": _VOLUME, "mountPath": inference_table.RECORDS_DIRECTORY}
    variables = {names.ENV_ENDPOINT: endpoint, names.ENV_VERSION: version, telemetry.ENV_COLLECTOR: collector}
    resources = {"memory": _MEMORY, "ephemeral-storage": _SPOOL}
    container: Manifest = {
        "name": "sidecar",
        "image": image,
        "args": [inference_table.SIDECAR],
        "env": pods.environment(variables),
        "ports": pods.container_ports({"records": names.SIDECAR_PORT}),
        "resources": {"requests": {"cpu": "10m", **resources}, "limits": {"cpu": "500m", **resources}},
        "volumeMounts": [mount],
    }
    parts = TelemetryParts(
        collector=collector,
        sidecar=pods.sidecar(container),
        mount=mount,
        volume={"name": _VOLUME, "emptyDir": {"sizeLimit": _SPOOL}},
    )
    added = pods.environment(telemetry_variables(collector))
    return replace(needs, environment=[*needs.environment, *added], telemetry=parts)
