"""docs/metrics.md names what a real model pod exposes."""

import json
from typing import Any

import httpx
import pytest
from metrics_page import exposed, told

from headrace.contract import metrics

pytestmark = pytest.mark.slow
EVERYWHERE = frozenset({metrics.ENDPOINT_METRIC_LABEL, metrics.VERSION_METRIC_LABEL})
COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
ROW = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [[5.1, 3.5, 1.4, 0.2]]}})
BY_CGROUP = {
    metrics.FRONT_CPU_SECONDS,
    metrics.FRONT_CPU_RATIO,
    metrics.FRONT_MEMORY_RATIO,
    metrics.FRONT_IO_WAIT_RATIO,
    metrics.FRONT_MEMORY_BYTES,
    metrics.FRONT_CPU_THROTTLED_SECONDS,
}
"""Absent where the machine that runs the test gives its processes no cgroup of their own."""


def test_a_pod_that_has_answered_exposes_the_metrics_of_the_page_and_no_others(iris_front: Any) -> None:
    for _ in range(2):
        assert iris_front.post(ROW).status_code == 200

    found = exposed(httpx.get(f"{iris_front.admin_url}{metrics.METRICS_PATH}").text, everywhere=EVERYWHERE)

    page = told("Model pod")
    assert {name: page.get(name) for name in found} == found
    assert set(page) - set(found) <= BY_CGROUP
