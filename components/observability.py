"""Observability: a Prometheus of the platform's own, which reads balancers and pods each second for the autoscaler.

It learns which pods there are from the autoscaler, which knows them anyway: it needs no right in the cluster, and the
Prometheus of Debian, which the image holds, is built without Kubernetes' discovery. It keeps minutes, not months:
whoever wants history scrapes the same ports. Its memory is bounded three ways: by the samples that one scrape may
bring, by the minutes kept, and by the limit of its pod.
"""

from typing import Any, Final, NotRequired, TypedDict

import pulumi

from headrace.components import checks, flows, manifests, pods
from headrace.components.kubernetes_object import KubernetesObject
from headrace.components.platform_program import platform_program
from headrace.contract import metrics, names

URL: Final = f"http://{flows.PROMETHEUS}.{names.SYSTEM_NAMESPACE}.svc:{flows.PROMETHEUS_PORT}"
"""Where it answers inside the cluster."""
SCRAPE_SECONDS: Final = 1
"""Between two scrapes; the autoscaler looks as often."""
DISCOVERY_SECONDS: Final = 2
"""Between two questions after the pods there are. While nobody answers, the last answer stands."""
SAMPLES_MAX: Final = 50_000
"""Most samples that one scrape may bring: a balancer's of 10,000 versions. A target with more is not read at all."""
_AUTOSCALER: Final = f"http://{names.AUTOSCALER}.{names.SYSTEM_NAMESPACE}.svc:{names.CONTROL_HEALTH_PORT}"


class ObservabilityArgs(TypedDict):
    """Inputs of Observability."""

    image: pulumi.Input[str]
    """Image that holds Prometheus, pinned by digest."""
    memory_mib: NotRequired[int]
    """Memory of its pod in MiB. Default 512."""
    labels: NotRequired[dict[str, str]]
    """Put on every object beside our own labels."""


class Observability(pulumi.ComponentResource):
    """Deployment and configuration of Prometheus, in the platform's namespace."""

    url: pulumi.Output[str]
    """Address of its API inside the cluster; only the autoscaler is let through to it."""

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
        child = pulumi.ResourceOptions(parent=self)
        labels = manifests.standard_labels(flows.PROMETHEUS, args.get("labels", {}))
        space, program = names.SYSTEM_NAMESPACE, flows.PROMETHEUS

        config = configuration()
        config_map = KubernetesObject(
            f"{name}-config",
            manifests.config_map(program, space, labels=labels, data=pods.prometheus_data(config)),
            child,
        )
        platform_program(
            program,
            name=name,
            parent=self,
            labels=labels,
            pod=pods.prometheus_pod(program, image=args["image"], labels=labels, config=config, memory_mib=memory_mib),
            policy=flows.prometheus(space, labels=labels),
            # One: two would count from different moments, and whoever read them in turn would see counters run back.
            replicas=1,
            after=[config_map],
        )
        service = KubernetesObject(
            f"{name}-service",
            manifests.service(
                program,
                space,
                labels=labels,
                selector={names.COMPONENT_LABEL: program},
                ports=[manifests.service_port("web", flows.PROMETHEUS_PORT, protocol="http")],
            ),
            child,
        )
        self.url = service.urn.apply(lambda _: URL)
        self.register_outputs({"url": self.url})


def configuration() -> dict[str, Any]:
    """Prometheus' configuration as plain data: whom it asks for pods, and which of their series it keeps."""
    return {
        # The timeout is shorter than the interval: a pod that hangs is seen as silent in its own second.
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": "800ms"},
        "scrape_configs": [
            _job(metrics.MODELS_JOB, path=metrics.METRICS_PATH, keep="headrace_.*"),
            _job(metrics.BALANCERS_JOB, path=metrics.ENVOY_STATS_PATH, keep="|".join(_BALANCER_SERIES)),
        ],
    }


_BALANCER_SERIES: Final = (
    metrics.ENVOY_REQUESTS,
    metrics.ENVOY_RETRIES,
    metrics.ENVOY_UNHEALTHY,
    metrics.ENVOY_ACTIVE,
)


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
