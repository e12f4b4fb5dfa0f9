"""Expositions and query results, as samples."""

import math

from headrace.autoscaler.counter_aggregation import FRONT_NAMES
from headrace.autoscaler.exposition import Sample, from_query, parse
from headrace.contract import metrics


def test_expositions_are_read_as_they_are_written() -> None:
    text = (
        "# TYPE headrace_requests_arrived_total counter\n"
        'headrace_requests_arrived_total{endpoint="fraud",version="v\\"1"} 12\n'
        "headrace_requests_arrived_total garbage\n"
        "other_metric 5\n"
        'headrace_requests_queued{endpoint="fraud",version="v1"} NaN\n'
    )

    samples = list(parse(text, instance="10.0.0.1", wanted=FRONT_NAMES))

    assert [sample.name for sample in samples] == [metrics.FRONT_ARRIVED, metrics.FRONT_QUEUED]
    assert samples[0].value == 12
    assert math.isnan(samples[1].value)


def test_query_results_lose_their_port_and_unreadable_values() -> None:
    result = [
        {"metric": {"__name__": "m", "instance": "10.0.0.1:8002", "endpoint": "fraud"}, "value": [1.0, "3"]},
        {"metric": {"__name__": "m"}, "value": [1.0, "three"]},
        {"metric": {"__name__": "m"}},
    ]

    assert list(from_query(result)) == [Sample("10.0.0.1", "m", {"endpoint": "fraud"}, 3.0)]
