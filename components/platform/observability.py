"""Observability: the platform's own Prometheus, which scrapes balancers and model pods every second for the autoscaler.

It is not a monitoring system: it has no dashboards, alerts or logs, and it keeps minutes, not months. A monitoring
system scrapes the same ports. Prometheus gets its targets from the autoscaler (HTTP service discovery), so that it
needs no rights in the cluster; Debian's Prometheus, which the image holds, is built without Kubernetes discovery. Its
memory is bounded three times: by the samples of one scrape, by the retention time, and by the limit of its pod.
"""

from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components.kubernetes import checks, manifests, network_policies
from headrace.components.platform.platform_program import address, platform_program
from headrace.components.platform.prometheus_pod import prometheus_data, prometheus_pod
from headrace.contract import metrics, names

URL: Final = f"http://{address(network_policies.PROMETHEUS, network_policies.PROMETHEUS_PORT)}"
"""Address of Prometheus inside the cluster."""
SCRAPE_SECONDS: Final = 1
"""Seconds between two scrapes; the autoscaler decides as often."""
DISCOVERY_SECONDS: Final = 2
"""Seconds between two requests for the targets; Prometheus keeps the last ones while the autoscaler is away."""
SAMPLES_MAX: Final = 50_000
"""Most samples of one scrape: a balancer of 10,000 versions has as many. Prometheus drops a scrape with more."""
_AUTOSCALER: Final = f"http://{address(names.AUTOSCALER, names.CONTROL_HEALTH_PORT)}"
_BALANCER_SERIES: Final = (
    metrics.ENVOY_REQUESTS, metrics.ENVOY_RETRIES, metrics.ENVOY_UNHEALTHY, metrics.ENVOY_ACTIVE,
)  # fmt: skip


class ObservabilityArgs(TypedDict):
    """Inputs of Observability."""

    image: pulumi.Input[str]
    """Image that holds Prometheus, pinned by digest."""
    memory_mib: NotRequired[int]
    """Memory of its pod in MiB. Default 512."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Observability(pulumi.ComponentResource):
    """The platform's own Prometheus, which keeps some minutes of load for the autoscaler; no monitoring system."""

    url: pulumi.Output[str]
    """Address of its API inside the cluster; NetworkPolicy lets only the autoscaler reach it."""

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        memory_mib = int(args.get("memory_mib", 512))
        checks.require(
            f"Observability '{name}'",
            checks.known_keys(args, ObservabilityArgs.__annotations__),
            checks.present(args, "image"),
            checks.at_least("memory_mib", memory_mib, 128),
            checks.labels("labels", args.get("labels", {})),
        )
        super().__init__("headrace:index:Observability", name, dict(args), opts)
        labels = manifests.standard_labels(network_policies.PROMETHEUS, args.get("labels", {}))
        program, config = network_policies.PROMETHEUS, configuration()
        service = platform_program(
            program,
            name=name,
            parent=self,
            labels=labels,
            pod=prometheus_pod(program, image=args["image"], labels=labels, config=config, memory_mib=memory_mib),
            policy=network_policies.prometheus(names.SYSTEM_NAMESPACE, labels=labels),
            # One: two would scrape at different moments, and a reader of both in turn would see counters decrease.
            replicas=1,
            port=manifests.service_port("web", network_policies.PROMETHEUS_PORT, protocol="http"),
            files=prometheus_data(config),
        )
        self.url = service.urn.apply(lambda _: URL)
        self.register_outputs({"url": self.url})


def configuration() -> dict[str, Any]:
    """Prometheus' configuration as plain data: where it gets its targets, and which of their series it keeps."""
    return {
        # The timeout is shorter than the interval: a pod that hangs is seen as silent in its own second.
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": "800ms"},
        "scrape_configs": [
            _job(metrics.MODELS_JOB, path=metrics.METRICS_PATH, keep="headrace_.*"),
            _job(metrics.BALANCERS_JOB, path=metrics.ENVOY_STATS_PATH, keep="|".join(_BALANCER_SERIES)),
        ],
    }


def _job(name: str, *, path: str, keep: str) -> dict[str, Any]:
    """Every pod that the autoscaler lists under the name; only series whose name matches `keep`."""
    discovery = {"url": f"{_AUTOSCALER}{metrics.TARGETS_PATH}/{name}", "refresh_interval": f"{DISCOVERY_SECONDS}s"}
    return {
        "job_name": name,
        "honor_labels": True,  # `endpoint` and `version` are what the source says, whoever scraped it
        "metrics_path": path,
        "sample_limit": SAMPLES_MAX,
        "http_sd_configs": [discovery],
        "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": keep, "action": "keep"}],
    }
