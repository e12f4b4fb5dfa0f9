"""Which merged calls are checked."""

from headrace.runtimes.worker.watch import SAMPLED_REQUESTS, SHARE, SURE_CALLS, Watch


def called(watch: Watch, *, seconds: float = 0.001, alone_seconds: float = 0.0005, answer: object = 1.5) -> int:
    """Requests scored apart of one call of 64."""
    chosen = watch.chosen([1] * 64, [answer] * 64, seconds, nulls=False)
    if chosen:
        watch.took(len(chosen), len(chosen) * alone_seconds)
    return len(chosen)


def test_the_first_calls_are_checked_whole() -> None:
    watch = Watch()

    assert [called(watch) for _ in range(SURE_CALLS)] == [64] * SURE_CALLS
    assert watch.most_requests is None


def test_of_later_calls_as_many_are_checked_as_cost_a_hundredth_of_the_time() -> None:
    watch = Watch()
    for _ in range(SURE_CALLS):
        called(watch)
    apart = [called(watch) for _ in range(20_000)]

    assert set(apart) == {0, SAMPLED_REQUESTS}
    assert 0.8 * SHARE < sum(apart) * 0.0005 / (20_000 * 0.001) <= SHARE


def test_what_is_new_is_checked_at_once() -> None:
    watch = Watch()
    for _ in range(SURE_CALLS + 1):
        called(watch, answer="usual")
    assert called(watch, answer="usual") == 0

    assert called(watch, answer="new") > 0
    assert called(watch, answer="new") == 0
    assert watch.chosen([1, 1], ["usual", "new"], 0.001, nulls=True) == [0, 1]
    assert watch.chosen([200, 200], ["usual"] * 400, 0.001, nulls=False) == [0, 1]


def test_labels_without_end_are_not_kept() -> None:
    watch = Watch()
    for _ in range(SURE_CALLS):
        called(watch)
    for at in range(1000):
        watch.chosen([1], [f"text {at}"], 0.001, nulls=False)

    assert called(watch, answer="text 5000") == 0
