"""How the benchmark finds a capacity, and what it says the cores allow of an overload."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

from bench.runtime import overload


def result(goodput: float, p99_ms: float) -> dict[str, Any]:
    return {"goodput": goodput, "p99_ms": p99_ms}


def test_the_capacity_is_the_most_that_comes_in_time() -> None:
    """Refusals are no answer to count, whatever their number; late predictions are not counted either."""
    found = overload.search(lambda rate: result(min(rate, 390.0), 20.0 if rate < 700 else 900.0), 70.0)

    assert found["goodput"] == 390.0
    assert 390 <= found["rate"] < 390 * overload.STEP


def test_one_disturbed_rate_does_not_end_the_search() -> None:
    tried: list[float] = []

    def offered(rate: float) -> dict[str, Any]:
        tried.append(rate)
        return result(rate, 20.0 if len(tried) != 3 and rate < 200 else 900.0)

    assert overload.search(offered, 70.0)["goodput"] > 200 / overload.STEP


def test_a_search_ends() -> None:
    tried: list[float] = []

    def offered(rate: float) -> dict[str, Any]:
        tried.append(rate)
        return result(rate, 20.0)

    overload.search(offered, 70.0)

    assert len(tried) == overload.MOST_RATES


def test_a_server_that_answers_in_time_at_no_rate_is_not_given_a_capacity() -> None:
    with pytest.raises(RuntimeError, match="no rate is carried"):
        overload.search(lambda rate: result(rate, 900.0), 700.0)


def test_what_a_refusal_may_take_is_what_is_left_of_the_cores() -> None:
    may = overload.affordable_refusal(cores=2, capacity=1000, prediction=1e-3, generator=50e-6)

    # 900 predictions, 2,100 refusals and 3,000 requests of the load in a second take both cores.
    assert 900 * 1e-3 + 2100 * may + 3000 * 50e-6 == pytest.approx(2)
    assert overload.affordable_refusal(cores=2, capacity=1000, prediction=2e-3, generator=100e-6) < 0
