"""Cost rules, as Prometheus itself computes them from what a test makes up of pods, prices and requests."""

from pathlib import Path
from typing import Any

import pytest
from monitoring_rules import TOTAL, judged, recorded

pytestmark = pytest.mark.slow

COST = "endpoint:headrace_cost_per_hour:sum"
THOUSAND = "endpoint:headrace_cost_per_thousand_requests:mean1h"
MEAN, PEAK = "endpoint:headrace_cost_per_hour:mean7d", "endpoint:headrace_cost_per_hour:max7d"
SAVING, RATIO = "endpoint:headrace_saving_per_hour:mean7d", "endpoint:headrace_saving:ratio7d"


def pods(values: str, version: str = "v1", *, instance: str = "a") -> dict[str, str]:
    labels = f'namespace="endpoint-fraud",version="{version}",instance="{instance}"'
    return {f"headrace_autoscaler_placed_pods{{{labels}}}": values}


def price(values: str, version: str = "v1", *, currency: str = "USD", instance: str = "a") -> dict[str, str]:
    labels = f'namespace="endpoint-fraud",version="{version}",currency="{currency}",instance="{instance}"'
    return {f"headrace_autoscaler_pod_cost_per_hour{{{labels}}}": values}


def in_dollars(**expected: float) -> dict[str, Any]:
    """To four decimals, because promtool compares the last bit of a mean."""
    return {f"round({name}, 0.0001)": ('{currency="USD",endpoint="fraud"}', value) for name, value in expected.items()}


def nothing(series: dict[str, str], at: str, *names: str) -> dict[str, Any]:
    """A test of promtool: these are not recorded then."""
    return recorded(series, at) | {
        "promql_expr_test": [{"expr": name, "eval_time": at, "exp_samples": []} for name in names]
    }


def test_an_endpoint_costs_what_the_pods_of_all_its_versions_cost(tmp_path: Path) -> None:
    two = {**pods("3x20"), **price("0.5x20"), **pods("1x20", "v2"), **price("2x20", "v2")}
    asleep = {**pods("0x20"), **price("0.5x20")}
    # For a moment two replicas of the autoscaler tell of a version, the former leader and the next.
    handed_over = {**pods("3x20"), **price("0.5x20"), **pods("3x20", instance="b"), **price("0.5x20", instance="b")}

    told = judged(
        tmp_path,
        recorded(two, "15m", **in_dollars(**{COST: 3.5})),
        recorded(asleep, "15m", **in_dollars(**{COST: 0})),
        recorded(handed_over, "15m", **in_dollars(**{COST: 1.5})),
    )

    assert told == ""


def test_an_endpoint_with_pods_whose_price_nobody_knows_has_no_cost(tmp_path: Path) -> None:
    told = judged(
        tmp_path,
        nothing({**pods("3x20"), **price("0.5x20"), **pods("1x20", "v2")}, "15m", COST, MEAN),
        nothing(pods("3x20"), "15m", COST),
        recorded({**pods("3x20"), **price("0.5x20"), **pods("0x20", "v2")}, "15m", **in_dollars(**{COST: 1.5})),
    )

    assert told == ""


def test_a_thousand_requests_cost_what_ran_while_they_came(tmp_path: Path) -> None:
    steady = {**pods("2x90"), **price("0.9x90"), TOTAL: "0+600x90"}  # 36,000 requests an hour for 1.80
    unasked = {**pods("2x90"), **price("0.9x90"), TOTAL: "0x90"}

    told = judged(
        tmp_path,
        recorded(steady, "85m", **in_dollars(**{THOUSAND: 0.05})),
        nothing(unasked, "85m", THOUSAND),
    )

    assert told == ""


def test_the_saving_is_what_the_pods_of_the_peak_would_have_cost_all_the_time_less_what_ran(tmp_path: Path) -> None:
    hour_of_load = {**pods("4x59 1x200"), **price("0.5x260")}  # an hour with 4 pods, then three with 1
    without_pods = {**pods("0x260"), **price("0.5x260")}

    told = judged(
        tmp_path,
        recorded(hour_of_load, "239m30s", **in_dollars(**{PEAK: 2, MEAN: 0.875, SAVING: 1.125, RATIO: 0.5625})),
        nothing(without_pods, "239m30s", RATIO),
    )

    assert told == ""
