"""docs/metrics.md names the controller's metrics, all of them."""

from metrics_page import exposed, told
from prometheus_client import generate_latest

from headrace.contract.rollout import Phase
from headrace.routing.rollout import telemetry


def test_the_page_names_each_metric() -> None:
    telemetry.weight.labels("fraud", "v2").set(5)
    telemetry.ended.labels(Phase.COMPLETED, "GatesPassed").inc()
    telemetry.compared.labels("fraud", "v2", "alike").inc()
    telemetry.watch_failures.labels("modelendpoints").inc()
    text = generate_latest(telemetry.registry).decode()

    # The client adds the time at which a counter began.
    assert {name: metric for name, metric in exposed(text).items() if not name.endswith("_created")} == told(
        "Rollout controller"
    )
