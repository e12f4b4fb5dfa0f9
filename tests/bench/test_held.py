"""A recorded run of the cluster is held against the simulator."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # bench/ is a plain folder

pytest.importorskip("numba", reason="the benchmark's simulator needs the bench extra")

from bench.autoscaler import held
from bench.autoscaler.held import Track


def _recorded(**changes: Any) -> dict[str, Any]:
    """Six seconds in which a second pod was ordered, and was ready two seconds later."""
    track = {
        "case": "steps",
        "system": "headrace",
        "answers": [10, 10, 10, 20, 20, 20],
        "failures": [0, 0, 2, 0, 0, 0],
        "looks": [-1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5],
        "ordered": [1, 1, 1, 2, 2, 2, 2, 2],
        "placed": [1, 1, 1, 2, 2, 2, 2, 2],
        "ready": [1, 1, 1, 1, 1, 2, 2, 2],
        "alive": [1, 1, 1, 2, 2, 2, 2, 2],
    }
    return {**track, **changes}


def test_a_track_is_brought_to_the_seconds_of_its_load() -> None:
    track = Track.read(_recorded())

    assert track.arrivals == [10, 10, 12, 20, 20, 20]
    assert track.ready == [1, 1, 1, 2, 2, 2]
    assert track.start_seconds == 2
    assert track.room is None
    assert track.pod_seconds == 1 + 2 * 5
    assert held.capacity_seconds(track.ready) == 3


def test_arrivals_that_were_recorded_are_believed_rather_than_answers() -> None:
    assert Track.read(_recorded(arrivals=[1, 2, 3, 4, 5, 6])).arrivals == [1, 2, 3, 4, 5, 6]


def test_pods_that_waited_for_a_node_tell_how_many_fit() -> None:
    track = Track.read(_recorded(ordered=[1, 1, 1, 9, 9, 9, 9, 9], alive=[1, 1, 1, 9, 9, 9, 9, 9]))

    assert track.room == 2


def test_the_bar_asks_for_three_cases_near_on_both() -> None:
    def case(name: str, capacity: float, pods: float) -> dict[str, Any]:
        return {"case": name, "capacity_apart": capacity, "pod_seconds_apart": pods}

    near = [case("a", 0.0, 0.1), case("b", 0.15, 0.0), case("c", 0.0, 0.2)]

    assert held.bar(near).holds is False
    assert held.bar([*near, case("d", 0.1, 0.15)]).holds is True
    assert held.bar([]).holds is False


@pytest.mark.slow
def test_a_quiet_run_is_simulated_as_it_was() -> None:
    """50 callers of a model that waits a second, on one pod for 40 s."""
    seconds = 40
    ones = [1] * seconds
    track = Track.read(
        _recorded(
            case="callers", answers=[50] * seconds, failures=[0] * seconds, ordered=ones, placed=ones, ready=ones,
            alive=ones, looks=[second + 0.5 for second in range(seconds)],
        )
    )  # fmt: skip
    found = held.held(track)

    assert found["capacity_apart"] == 0
    assert found["pod_seconds_apart"] <= held.WITHIN
    assert found["answers"][1] == pytest.approx(50, rel=0.1)
