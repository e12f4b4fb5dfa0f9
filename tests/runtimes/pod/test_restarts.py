"""The delay before a process is started again."""

from headrace.runtimes.pod.restarts import LONGEST_DELAY_SECONDS, STABLE_SECONDS, BackOff


def test_a_process_that_had_run_is_replaced_at_once() -> None:
    assert BackOff().delay(STABLE_SECONDS) == 0.0


def test_processes_that_end_soon_are_replaced_later_and_later_up_to_a_bound() -> None:
    back_off = BackOff()
    delays = [back_off.delay(0.1) for _ in range(10)]

    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == LONGEST_DELAY_SECONDS


def test_one_that_ran_meanwhile_makes_up_for_those_before() -> None:
    back_off = BackOff()
    for lived in (0.1, 0.1, 60.0):
        back_off.delay(lived)

    assert back_off.delay(0.1) == 0.5
