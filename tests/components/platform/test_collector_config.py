"""What the Collector keeps: errors and slow requests always, and of the rest so many a second.

That the real Collector takes this configuration, and keeps what it says, tests/images/test_collector.py shows.
"""

from headrace.components.platform.collector_config import DECISION_SECONDS, Backend, configuration, tables_backend


def test_memory_is_bounded_before_anything_else_is_done() -> None:
    pipelines = configuration([tables_backend("tables:8084")])["service"]["pipelines"]

    assert {name: each["processors"][0] for name, each in pipelines.items()} == dict.fromkeys(
        pipelines, "memory_limiter"
    )


def test_errors_and_slow_requests_are_kept_by_rules_of_their_own() -> None:
    sampling = configuration([tables_backend("tables:8084")], spans_per_second=7)["processors"]["tail_sampling"]

    assert [rule["type"] for rule in sampling["policies"]] == ["status_code", "latency", "rate_limiting"]
    assert sampling["policies"][2]["rate_limiting"] == {"spans_per_second": 7}
    assert sampling["decision_wait"] == f"{DECISION_SECONDS}s"


def test_a_backend_that_takes_no_logs_gets_none() -> None:
    found = configuration([Backend(name="mlflow", endpoint="http://mlflow:5000", takes_logs=False)])

    assert list(found["service"]["pipelines"]) == ["traces"]
