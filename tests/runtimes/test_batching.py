"""Batch sizes are learned from what calls cost."""

import pytest

from headrace.runtimes.front.batching import FIRST_LIMIT, MOST_BYTES, MOST_REQUESTS, BatchSize


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
