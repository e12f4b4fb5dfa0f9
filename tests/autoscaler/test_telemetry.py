"""The autoscaler's own metrics."""

import re

from headrace.autoscaler import telemetry

COUNTED = re.compile(
    r"^(1 while|AutopilotPodAutoscaler objects|Seconds|Pods|Requests|Changes|Looks|Readings|Price)\b"
)  # fmt: skip
"""What a metric counts, or its unit, comes first."""


def test_every_metric_says_in_what_it_counts() -> None:
    families = list(telemetry.registry.collect())

    assert families
    for family in families:
        assert family.name.startswith("headrace_autoscaler_")
        assert COUNTED.match(family.documentation), family.name
        assert family.documentation.endswith("."), family.name
        assert ("seconds" in family.name) == family.documentation.startswith("Seconds"), family.name


def test_a_version_that_is_gone_leaves_no_gauge() -> None:
    telemetry.replicas.labels("endpoint-gone", "v1").set(3)

    telemetry.forget("endpoint-gone", "v1")

    assert telemetry.registry.get_sample_value(
        "headrace_autoscaler_replicas", {"namespace": "endpoint-gone", "version": "v1"}
    ) is None  # fmt: skip
