"""Batch sizes are learned from what calls cost."""

import pytest

from headrace.runtimes.front.batching import FIRST_LIMIT, MOST_BYTES, MOST_REQUESTS, BatchSize, Company


def learned(overhead: float, per_byte: float, sizes: tuple[int, ...] = (100, 400, 200, 1600)) -> BatchSize:
    size = BatchSize()
    for count in range(40):
        bytes_ = sizes[count % len(sizes)]
        size.observe(bytes_, overhead + per_byte * bytes_)
    return size


def test_before_anything_is_known_batches_are_small() -> None:
    assert BatchSize().most_requests == FIRST_LIMIT


def test_a_model_that_is_all_overhead_merges_whatever_waits() -> None:
    size = learned(0.01, 0.0)

    assert (size.most_requests, size.most_bytes) == (MOST_REQUESTS, MOST_BYTES)
    assert not size.divides(MOST_BYTES)


def test_a_model_whose_time_is_all_per_row_is_not_merged() -> None:
    assert learned(0.0, 1e-5).most_bytes < 100


def test_a_batch_ends_where_overhead_is_a_tenth_of_it() -> None:
    size = learned(0.001, 1e-6)

    assert size.most_bytes == pytest.approx(9_000, rel=0.01)
    assert size.divides(2_000)
    assert not size.divides(500)


def test_calls_of_one_size_teach_nothing_about_rows() -> None:
    assert not learned(0.001, 1e-6, sizes=(100,)).known


def test_a_size_that_was_learned_wrongly_is_learned_again() -> None:
    size = learned(0.0, 1e-5)  # the machine was busy with something else: it looked like time for each row
    for _ in range(200):
        count = max(1, min(64, size.most_bytes // 100))
        size.observe(100 * count, 0.01)

    assert size.most_bytes > 6400


def test_a_model_that_changes_is_learned_anew() -> None:
    size = learned(0.01, 0.0)
    for count in range(400):
        bytes_ = (100, 400)[count % 2]
        size.observe(bytes_, 1e-5 * bytes_)

    assert size.most_bytes < 400


def busy(count: int) -> Company:
    """Calls of so many requests, the last of which ends at 1.0."""
    company = Company()
    for call in range(20):
        company.answered(0.05 * (call + 1), count)
    return company


def test_a_call_waits_half_its_overhead_for_callers_who_were_just_answered() -> None:
    company = busy(32)

    assert company.wait_seconds(1.0, 5, 0.006) == pytest.approx(0.003)
    assert company.wait_seconds(1.001, 5, 0.006) == pytest.approx(0.002)
    assert company.wait_seconds(1.003, 5, 0.006) == 0.0


def test_a_call_does_not_wait_when_about_as_many_are_there_as_usual() -> None:
    assert busy(32).wait_seconds(1.0, 26, 0.006) == 0.0


def test_nobody_waits_for_company_of_which_there_is_none() -> None:
    assert Company().wait_seconds(1.0, 1, 0.006) == 0.0
    assert busy(1).wait_seconds(1.0, 1, 0.006) == 0.0
    assert busy(32).wait_seconds(7.0, 1, 0.006) == 0.0


def test_a_call_with_little_overhead_or_of_unknown_cost_waits_for_nothing() -> None:
    assert busy(32).wait_seconds(1.0, 5, 0.0019) == 0.0
    assert busy(32).wait_seconds(1.0, 5, BatchSize().overhead_seconds) == 0.0
