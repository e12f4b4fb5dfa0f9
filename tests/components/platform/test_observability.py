"""Prometheus of the platform's own: what it reads, what it may do, and how its memory is bounded."""

import re
from typing import Any

import pytest
from stand_ins import FOUND, IMAGE

from headrace.autoscaler.counter_aggregation import ENVOY_NAMES, FRONT_NAMES
from headrace.components import Observability
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.observability import configuration
from headrace.components.testing import record


def jobs() -> dict[str, Any]:
    return {job["job_name"]: job for job in configuration()["scrape_configs"]}


def test_every_series_that_the_autoscaler_reads_is_kept_and_read_each_second() -> None:
    assert configuration()["global"]["scrape_interval"] == "1s"
    for job, wanted in (("models", FRONT_NAMES), ("load-balancers", ENVOY_NAMES)):
        (kept,) = jobs()[job]["metric_relabel_configs"]
        assert all(re.fullmatch(kept["regex"], name) for name in wanted)


def test_what_a_source_says_of_itself_stands() -> None:
    assert all(job["honor_labels"] for job in jobs().values())


def test_it_has_no_right_in_the_cluster() -> None:
    recording = record(lambda: Observability("metrics", {"image": IMAGE}), answers=FOUND)

    assert not [r for r in recording.resources.values() if "rbac" in r.type]
    assert not recording.named("metrics-deployment").inputs["spec"]["template"]["spec"]["automountServiceAccountToken"]
    assert [job["http_sd_configs"][0]["url"] for job in jobs().values()] == [
        "http://autoscaler.headrace-system.svc:8081/targets/models",
        "http://autoscaler.headrace-system.svc:8081/targets/load-balancers",
    ]


def test_its_memory_is_bounded_by_its_pod_and_told_to_its_collector() -> None:
    recording = record(lambda: Observability("metrics", {"image": IMAGE, "memory_mib": 1000}), answers=FOUND)

    (container,) = recording.named("metrics-deployment").inputs["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1000Mi"
    assert container["env"] == [{"name": "GOMEMLIMIT", "value": "900MiB"}]
    assert all(job["sample_limit"] for job in jobs().values())


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(ArgsError, match="memory_mib = 64, must be at least 128"):
        Observability("metrics", {"image": IMAGE, "memory_mib": 64})
