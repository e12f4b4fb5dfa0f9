"""Queueing theory against exact Erlang formulas and its own limits."""

import math

import pytest

from headrace.autoscaler.engine.statistics import staffing


def _erlang_c(offered: float, slots: int) -> float:
    """Share that waits, exactly, by the Erlang B recursion."""
    blocked = 1.0
    for count in range(1, slots + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return slots * blocked / (slots - offered * (1.0 - blocked))


@pytest.mark.parametrize(("offered", "slots"), [(8.0, 12), (75.0, 90), (500.0, 530)])
def test_the_share_that_waits_is_near_the_exact_one(offered: float, slots: int) -> None:
    assert staffing.waiting_share(offered, slots) == pytest.approx(_erlang_c(offered, slots), rel=0.35)


@pytest.mark.parametrize("offered", [20.0, 75.0, 500.0])
def test_the_slots_found_keep_the_promise(offered: float) -> None:
    slots = math.ceil(staffing.slots_needed(offered, 0.05))
    slack = (staffing.WAIT_SECONDS + staffing.SLACK_SHARE * 0.05) / 0.05
    late = _erlang_c(offered, slots) * math.exp(-(slots - offered) * slack)

    assert late <= 1.5 * staffing.WAIT_SHARE


def test_larger_fleets_are_filled_more() -> None:
    shares = [staffing.target_share(offered, 0.0, 0.05, 4) for offered in (1, 5, 20, 75, 300, 3000)]

    assert shares == sorted(shares)
    assert shares[0] == staffing.LOWEST_SHARE
    assert shares[-1] == pytest.approx(0.85)


def test_pods_of_many_slots_are_filled_more() -> None:
    """The requests by which one is above the mean are a smaller share of them."""
    shares = [staffing.target_share(3000, 0.0, 0.05, slots) for slots in (1, 4, 14, 300)]

    assert shares == pytest.approx([0.85, 0.85, 0.921, 0.949], abs=0.001)


def test_a_load_that_varies_is_given_room() -> None:
    assert staffing.target_share(75, 7.5, 0.05, 4) < staffing.target_share(75, 0.0, 0.05, 4)


@pytest.mark.parametrize(("offered", "slots", "wait"), [(0.0, 4.0, 0.0), (4.0, 4.0, math.inf), (5.0, 4.0, math.inf)])
def test_waits_at_the_edges(offered: float, slots: float, wait: float) -> None:
    assert staffing.mean_wait(offered, slots, 0.05) == wait


@pytest.mark.parametrize("service_seconds", [0.002, 0.05, 26.0])
@pytest.mark.parametrize("offered", [8.0, 60.0])
def test_the_promise_is_kept_over_all_seconds_of_a_load_that_varies(offered: float, service_seconds: float) -> None:
    """Against a fine sum over the normal law, with the exact formula for a second that has slots to spare."""
    deviation = 0.1 * offered
    slots = staffing.slots_needed(offered, service_seconds, deviation=deviation)
    slack = staffing.WAIT_SECONDS + staffing.SLACK_SHARE * service_seconds
    late = 0.0
    for step in range(-500, 501):
        load, weight = (
            offered + deviation * step / 100,
            math.exp(-((step / 100) ** 2) / 2) / math.sqrt(2 * math.pi) / 100,
        )
        if load < slots:
            waits = staffing.waiting_share(load, slots) * math.exp(-(slots - load) * slack / service_seconds)
        else:
            waits = max(0.0, 1 - slack * slots / max(load - slots, 1e-9) / max(1.0, service_seconds))
        late += weight * waits

    assert late == pytest.approx(staffing.WAIT_SHARE, rel=0.15)


def test_more_variability_takes_more_slots() -> None:
    needed = [staffing.slots_needed(60.0, 0.05, deviation=deviation) for deviation in (0.0, 1.0, 3.0, 6.0, 12.0)]

    assert needed == sorted(set(needed))
