"""How much a model pod may use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.components.endpoint.selection.choice import Runtime
from headrace.components.endpoint.sizing import allotment, start_seconds

MIB = 1024 * 1024
GIB = 1024 * MIB


def test_a_small_model_gets_the_base_and_one_core() -> None:
    assert allotment(Runtime.MLFLOW, 2_000_000).manifest() == {
        "requests": {"cpu": "250m", "memory": "832Mi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "1000m", "memory": "832Mi", "ephemeral-storage": "1Gi"},
    }


def test_a_model_of_two_gibibytes_gets_four_times_itself_over_the_base() -> None:
    assert allotment(Runtime.MLFLOW, 2 * GIB).memory_mib == 768 + 4 * 2048


def test_what_the_user_fixes_is_taken_as_it_is() -> None:
    fixed = allotment(Runtime.MLFLOW, 2 * GIB, cpu=4.0, memory_mib=1000)

    assert (fixed.cpu_limit, fixed.cpu_request, fixed.memory_mib) == (4.0, 1.0, 1000)


@pytest.mark.parametrize("model_bytes", [0, 1, 63 * MIB])
def test_memory_promised_is_memory_allowed(model_bytes: int) -> None:
    """Overcommitted memory lets one endpoint's growth kill another's pod."""
    resources = allotment(Runtime.MLFLOW, model_bytes).manifest()

    assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_a_small_model_has_two_minutes_to_start_and_a_big_one_the_time_to_be_read() -> None:
    assert start_seconds(Runtime.MLFLOW, 2_000_000) == 121
    assert start_seconds(Runtime.VLLM, 140 * GIB) == 900 + 2868  # 140 x 1024 / 50, rounded up


@pytest.mark.parametrize(
    ("runtime", "flavors", "gpus", "memory_mib"),
    [
        (Runtime.MLFLOW, {"pytorch"}, 0, 768 + 4 * 1024),
        (Runtime.MLFLOW, {"pytorch"}, 1, 768 + 4 * 1024),
        (Runtime.VLLM, {"transformers"}, 2, 2048 + 1024 + 2 * 1024),
        (Runtime.TRITON, {"onnx"}, 0, 1024 + 3 * 1024 + 1024),
        (Runtime.TRITON, {"pytorch"}, 0, 2048 + 3 * 1024 + 1024),
        (Runtime.CUSTOM, {"sklearn"}, 0, 1024 + 3 * 1024 + 1024),
    ],
)
def test_the_reason_says_the_memory_that_the_pod_gets(
    runtime: Runtime, flavors: set[str], gpus: int, memory_mib: int
) -> None:
    given = allotment(runtime, GIB, flavors=flavors, gpus=gpus)

    assert given.memory_mib == memory_mib
    assert given.memory_reason.startswith(f"memory {memory_mib} MiB: ")


@pytest.mark.parametrize("runtime", Runtime)
def test_memory_that_the_user_fixes_has_no_other_reason(runtime: Runtime) -> None:
    given = allotment(runtime, 5 * GIB, memory_mib=3000)

    assert (given.memory_mib, given.memory_reason) == (3000, "memory_mib = 3000, as asked")


@given(st.sampled_from(Runtime), st.integers(0, 64 * GIB), st.integers(0, 64 * GIB))
def test_a_bigger_model_never_gets_less(runtime: Runtime, one: int, other: int) -> None:
    small, big = sorted([one, other])

    assert allotment(runtime, small).memory_mib <= allotment(runtime, big).memory_mib
    assert allotment(runtime, big).memory_mib * MIB >= big
