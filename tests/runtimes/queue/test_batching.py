"""Batch sizes are learned from what calls cost."""

import pytest

from headrace.runtimes.queue.batching import FIRST_LIMIT, MOST_BYTES, MOST_REQUESTS, BatchSize


def learned(overhead: float, per_byte: float, sizes: tuple[int, ...] = (100, 400, 200, 1600)) -> BatchSize:
    size = BatchSize()
    for count in range(40):
        bytes_ = sizes[count % len(sizes)]
        size.observe(1, bytes_, overhead + per_byte * bytes_)
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
        size.observe(count, 100 * count, 0.01)

    assert size.most_bytes > 6400


def test_a_model_that_changes_is_learned_anew() -> None:
    size = learned(0.01, 0.0)
    for count in range(400):
        bytes_ = (100, 400)[count % 2]
        size.observe(1, bytes_, 1e-5 * bytes_)

    assert size.most_bytes < 400


def test_the_curve_of_a_call_is_told_for_a_request_as_large_as_the_last_ones() -> None:
    size = BatchSize()
    for count in range(100):
        requests = (1, 2, 8, 4)[count % 4]
        size.observe(requests, 100 * requests, 0.002 + 0.0001 * requests)

    curve = size.curve(merges=True)

    assert curve is not None
    assert curve.fixed_seconds == pytest.approx(0.002, rel=0.01)
    assert curve.request_seconds == pytest.approx(0.0001, rel=0.01)
    assert curve.requests_max == pytest.approx(180, rel=0.02)  # where overhead is a tenth of the call


def test_calls_of_one_size_give_the_least_capacity_that_explains_them() -> None:
    size = BatchSize()
    assert size.curve(merges=True) is None
    for _ in range(20):
        size.observe(1, 100, 0.004)

    assert size.curve(merges=True) == (0.0, pytest.approx(0.004), 1.0, pytest.approx(0.004))


def test_a_model_whose_requests_are_not_merged_has_a_curve_of_one_request() -> None:
    size = learned(0.01, 1e-6)

    curve = size.curve(merges=False)

    assert curve is not None
    assert (curve.fixed_seconds, curve.requests_max) == (0.0, 1.0)
