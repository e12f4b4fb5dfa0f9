"""docs/metrics.md names what the controllers expose, and what programs of ours read of each other."""

import pytest
from metrics_page import Metric, told
from prometheus_client import CollectorRegistry

from headrace.autoscaler import telemetry as autoscaler
from headrace.contract import metrics
from headrace.routing.activator import hold_metrics as activator
from headrace.routing.ads import telemetry as control_plane


@pytest.mark.parametrize(
    ("section", "registry"),
    [
        ("Control plane", control_plane.registry),
        ("Autoscaler", autoscaler.registry),
        ("Activator", activator.registry),
    ],
)
def test_every_metric_of_a_controller_is_on_the_page_with_its_type_and_labels(
    section: str, registry: CollectorRegistry
) -> None:
    registered = {
        family.name + ("_total" if family.type == "counter" else ""): Metric(
            family.type, _labels(registry, family.name)
        )
        for family in registry.collect()
    }

    assert told(section) == registered


@pytest.mark.parametrize(("section", "prefix"), [("Model pod", "FRONT_"), ("Proxies", "ENVOY_"), ("GPUs", "DCGM_")])
def test_every_metric_that_programs_spell_alike_is_on_the_page(section: str, prefix: str) -> None:
    shared = {value for name, value in vars(metrics).items() if name.startswith(prefix)}
    shared -= {metrics.ENVOY_CLUSTER_LABEL, metrics.ENVOY_STATS_PATH}

    assert shared
    assert shared - set(told(section)) == set()


def _labels(registry: CollectorRegistry, name: str) -> frozenset[str]:
    """Of a metric that may have no series yet."""
    return frozenset(registry._names_to_collectors[name]._labelnames)  # type: ignore[attr-defined]
