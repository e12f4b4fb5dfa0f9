"""How much a model pod may use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.components import sizing
from headrace.components.sizing import allotment

MIB = 1024 * 1024
GIB = 1024 * MIB


def test_a_small_model_gets_the_base_and_one_core() -> None:
    assert allotment(2_000_000).manifest() == {
        "requests": {"cpu": "250m", "memory": "832Mi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "1000m", "memory": "832Mi", "ephemeral-storage": "1Gi"},
    }


def test_a_model_of_two_gibibytes_gets_four_times_itself_over_the_base() -> None:
    assert allotment(2 * GIB).memory_mib == 768 + 4 * 2048


def test_what_the_user_fixes_is_taken_as_it_is() -> None:
    fixed = allotment(2 * GIB, cpu=4.0, memory_mib=1000)

    assert (fixed.cpu_limit, fixed.cpu_request, fixed.memory_mib) == (4.0, 1.0, 1000)


@pytest.mark.parametrize("model_bytes", [0, 1, 63 * MIB])
def test_memory_promised_is_memory_allowed(model_bytes: int) -> None:
    """Overcommitted memory lets one endpoint's growth kill another's pod."""
    resources = allotment(model_bytes).manifest()

    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_a_small_model_has_two_minutes_to_start_and_a_big_one_the_time_to_be_read() -> None:
    assert sizing.start_seconds(2_000_000) == 121
    assert sizing.start_seconds(140 * GIB) == 120 + 2868  # 140 x 1024 / 50, rounded up


@given(st.integers(0, 64 * GIB), st.integers(0, 64 * GIB))
def test_a_bigger_model_never_gets_less(one: int, other: int) -> None:
    small, big = sorted([one, other])

    assert allotment(small).memory_mib <= allotment(big).memory_mib
    assert allotment(big).memory_mib * MIB >= 4 * big
