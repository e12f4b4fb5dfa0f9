"""Collector: OpenTelemetry's own, one gateway a platform. It takes spans and logs of the proxies and of model pods,
decides which traces are kept, and hands them to tables, to MLflow and to any OTLP backend.

Nothing of a request waits for it: who sends to it drops, and counts, what it does not take.
"""

from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies, pods
from headrace.components.platform import collector_config, telemetry
from headrace.components.platform.platform_program import platform_program
from headrace.components.platform.telemetry import Telemetry, telemetry_faults
from headrace.contract import inference_table, names

_CONFIG_FILE: Final = "collector.json"  # JSON is YAML
_CONFIG_PATH: Final = f"/etc/headrace/{_CONFIG_FILE}"


class CollectorArgs(TypedDict):
    """Inputs of Collector."""

    image: pulumi.Input[str]
    """Image that holds the Collector, pinned by digest."""
    telemetry: NotRequired[Telemetry]
    """Where spans and logs go, besides the tables. Absent: nowhere."""
    tables_folder: NotRequired[str]
    """Folder of the tables of spans and logs. Absent: none are written."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Collector(pulumi.ComponentResource):
    """Deployment, Service and NetworkPolicy of OpenTelemetry's Collector, in the platform's namespace."""

    address: pulumi.Output[str]
    """Address and port of OTLP over HTTP inside the cluster, without a name: model pods get no DNS."""

    def __init__(self, name: str, args: CollectorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        folder = args.get("tables_folder")
        checks.require(
            f"Collector '{name}'",
            checks.known_keys(args, CollectorArgs.__annotations__),
            checks.present(args, "image"),
            telemetry_faults(args.get("telemetry", {}), has_tables=folder is not None),
            checks.labels("labels", args.get("labels", {})),
        )
        wanted = telemetry.checked_telemetry(args.get("telemetry", {}))
        backends = telemetry.backends(wanted, folder=folder)
        checks.require(
            f"Collector '{name}'",
            [] if backends else ["telemetry names no place for spans; set otlp_endpoint, mlflow_uri or tables_folder"],
        )
        super().__init__("headrace:index:Collector", name, dict(args), opts)
        program, space = names.COLLECTOR, names.SYSTEM_NAMESPACE
        labels = manifests.standard_labels(program, args.get("labels", {}))
        config = collector_config.configuration(backends, spans_per_second=wanted.spans_per_second)
        service = platform_program(
            program,
            name=name,
            parent=self,
            labels=labels,
            pod=_pod(args["image"], labels=labels, config=config, secrets=telemetry.secret_variables(wanted)),
            policy=network_policies.collector(space, labels=labels, backend_ports=telemetry.ports(wanted)),
            replicas=1,  # all spans of a trace must meet, or it cannot be judged
            port=manifests.service_port("otlp-http", names.OTLP_HTTP_PORT, protocol="http"),
            more_ports=[manifests.service_port("otlp-grpc", names.OTLP_GRPC_PORT, protocol="kubernetes.io/h2c")],
            files={_CONFIG_FILE: pods.config_text(config)},
        )
        port = names.OTLP_HTTP_PORT
        self.address = service.spec.apply(lambda spec: f"{spec['clusterIP']}:{port}" if spec.get("clusterIP") else "")
        self.register_outputs({"address": self.address})


def _pod(
    image: pulumi.Input[str], *, labels: manifests.Labels, config: dict[str, Any], secrets: list[manifests.Manifest]
) -> manifests.Manifest:
    program, memory = names.COLLECTOR, collector_config.MEMORY_MIB
    container = {
        "name": program,
        "image": image,
        "args": [f"--config={_CONFIG_PATH}"],
        # Go's garbage collector works harder before the kernel would kill the process.
        "env": [*pods.environment({"GOMEMLIMIT": f"{memory * 9 // 10}MiB"}), *secrets],
        "ports": pods.container_ports(
            {
                "otlp-grpc": names.OTLP_GRPC_PORT,
                "otlp-http": names.OTLP_HTTP_PORT,
                "metrics": collector_config.METRICS_PORT,
                "health": collector_config.HEALTH_PORT,
            }
        ),
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi", "ephemeral-storage": "16Mi"},
            "limits": {"cpu": "1000m", "memory": f"{memory}Mi", "ephemeral-storage": "64Mi"},
        },
        "startupProbe": pods.probe("/", "health", period=1, timeout=3, failures=120),
        "readinessProbe": pods.probe("/", "health", period=2, timeout=3, failures=2),
        "livenessProbe": pods.probe("/", "health", period=10, timeout=5, failures=3),
        "volumeMounts": [
            {"name": "config", "mountPath": _CONFIG_PATH, "subPath": _CONFIG_FILE, "readOnly": True},
            {"name": "table-token", "mountPath": inference_table.TOKEN_DIRECTORY, "readOnly": True},
        ],
    }
    return pods.template(
        program,
        container,
        labels=labels,
        selector={names.COMPONENT_LABEL: program},
        scratch="16Mi",
        volumes=[
            {"name": "config", "configMap": {"name": program}},
            pods.token_volume("table-token", audience=inference_table.TOKEN_AUDIENCE),
        ],
        config=config,
        terminationGracePeriodSeconds=15,
    )
