"""The quick tier of `make bench-product`: the product at its defaults, in two cases, through the whole path.

Pods and failures are asserted, times are not. `make test` runs this file when all others have ended: what is ordered
for a load depends on what the machine does besides.
"""

import sys
from pathlib import Path

import pytest
from live_platform import Platform

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench.product import plan
from bench.product.outcome import OURS, Outcome
from bench.product.run import Run
from bench.product.stage import Stage


@pytest.fixture(scope="module")
def measured(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What each quick case came to; *ours fixed* is for whoever asks about times."""
    del platform  # runs, and stays
    cases = [case.without_fixed() for case in plan.chosen([], quick=True)]
    stage = Stage()
    try:
        stage.register([case.model for case in cases])
        run = Run(stage, cases, tmp_path_factory.mktemp("product"))
        run.all()
    finally:
        stage.leave()
    assert not run.failures
    return {outcome.case: outcome for outcome in run.outcomes if outcome.system == OURS}


def test_sixty_four_connections_that_one_pod_carries_order_no_more_than_two(measured: dict[str, Outcome]) -> None:
    logistic = measured["logistic"]

    assert logistic.load["answers"] > 0
    assert logistic.load["statuses"] == {"200": logistic.load["sent"]}
    assert logistic.most("ordered") <= 2, logistic.track()


def test_fifty_callers_of_a_model_that_waits_order_no_more_than_three_and_none_is_refused(
    measured: dict[str, Outcome],
) -> None:
    callers = measured["callers"]

    assert callers.load["answers"] > 0
    assert callers.load["statuses"] == {"200": callers.load["sent"]}
    assert callers.most("ordered") <= 3, callers.track()
