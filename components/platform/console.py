"""Console: the program of pages for people, below /console at the platform's address.

Only the PopProxy reaches it, with callers' verified subjects. It may read ModelEndpoints and AutopilotPodAutoscalers
everywhere, and Deployments of the platform itself. It asks Prometheus for load, the table writer for rows with a token
of its own account, and the PopProxy for what a caller tries, with that caller's token. It writes nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final, NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies, pods
from headrace.components.platform.controller import READ, Controller, Grant, require
from headrace.components.platform.observability import URL as OWN_PROMETHEUS
from headrace.contract import inference_table, names

READ_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": [names.API_GROUP], "resources": [names.MODEL_ENDPOINT_PLURAL, names.APA_PLURAL], "verbs": READ},
]
PROGRAMS_RULES: Final[list[manifests.Manifest]] = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
]
"""Bound in the platform's own namespace."""
_CONSOLE: Final = Controller(
    program=names.CONSOLE,
    module="observability.console",
    grants=(
        Grant(role=f"headrace-{names.CONSOLE}", rules=READ_RULES),
        Grant(
            role=f"headrace-{names.CONSOLE}-programs", rules=PROGRAMS_RULES, key="-programs",
            namespace=names.SYSTEM_NAMESPACE,
        ),
    ),
    policy=network_policies.console,
    port_name="http",
    port=names.CONSOLE_PORT,
)  # fmt: skip
_PLATFORM: Final = "/etc/headrace/platform"
_MEMORY: Final = "128Mi"
"""It takes 60 MiB, and some more with thousands of endpoints (docs/console.md)."""


class ConsoleArgs(TypedDict):
    """Inputs of Console."""

    image: pulumi.Input[str]
    """Image of the console, pinned by digest."""
    prometheus_url: NotRequired[str]
    """Prometheus that remembers load, for example http://prometheus.monitoring:9090. Absent: pages have no plots."""
    has_tables: NotRequired[bool]
    """Whether the platform has a table writer, which is asked for rows. Default false."""
    has_traces: NotRequired[bool]
    """Whether the table writer has spans of requests too. Default false."""
    pop_port: NotRequired[int]
    """Port of the PopProxy's Service. Default 443."""
    replicas: NotRequired[int]
    """Copies. Default 2, so that a lost node leaves one that answers."""
    api_server_addresses: NotRequired[list[str]]
    """Address blocks in which the API server listens, for example ["10.0.0.0/24"]: on managed clusters that move it.
    Absent: its addresses at the time of the update."""
    log_collector: NotRequired[str]
    """Host and port of a Collector that takes lines of the log, OTLP over HTTP. Absent: they are in the pods alone."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Console(pulumi.ComponentResource):
    """Deployment, Service, identity and rights of the console, in the platform's namespace."""

    address: pulumi.Output[str]
    """Host and port inside the cluster."""

    def __init__(self, name: str, args: ConsoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        url = args.get("prometheus_url", "")
        faults = checks.web_address("prometheus_url", url) if url else ()
        require("Console", name, args, faults, shape=ConsoleArgs)
        super().__init__("headrace:index:Console", name, dict(args), opts)
        port = None if url in ("", OWN_PROMETHEUS) else _port(url)
        program = replace(_CONSOLE, policy=partial(network_policies.console, prometheus_port=port))
        service = program.register(
            self, name, args, environment=_environment(args), volumes=[_platform_files(), _token()], memory=_MEMORY
        )
        self.address = service.urn.apply(lambda _: program.address)
        self.register_outputs({"address": self.address})


def _environment(args: ConsoleArgs) -> Mapping[str, str]:
    prefix, space = "HEADRACE_CONSOLE_", names.SYSTEM_NAMESPACE
    tables = {f"{prefix}TABLES": f"{names.TABLES}.{space}.svc:{names.TABLES_PORT}"} if args.get("has_tables") else {}
    traces = {f"{prefix}TRACES": "yes"} if args.get("has_traces") else {}
    prometheus = {f"{prefix}PROMETHEUS_URL": args["prometheus_url"]} if args.get("prometheus_url") else {}
    return {
        f"{prefix}POP": f"{names.POP_PROXY}.{space}.svc:{int(args.get('pop_port', 443))}",
        f"{prefix}PLATFORM_DIRECTORY": _PLATFORM,
        **tables,
        **traces,
        **prometheus,
    }


def _platform_files() -> tuple[manifests.Manifest, manifests.Manifest]:
    """The platform's address and authority, which come later than the first pod."""
    source = {"name": names.PLATFORM_CONFIG_MAP, "optional": True}
    return {"name": "platform", "configMap": source}, {"name": "platform", "mountPath": _PLATFORM, "readOnly": True}


def _token() -> tuple[manifests.Manifest, manifests.Manifest]:
    """By which the table writer knows the console."""
    volume = pods.token_volume("table-token", audience=inference_table.TOKEN_AUDIENCE)
    return volume, {"name": "table-token", "mountPath": inference_table.TOKEN_DIRECTORY, "readOnly": True}


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or {"http": 80, "https": 443}[parts.scheme]
