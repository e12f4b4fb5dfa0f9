"""Whether processes compete for CPU."""

from pathlib import Path

from headrace.runtimes.front.contention import Contention


def test_waiting_for_a_core_is_competition(tmp_path: Path) -> None:
    account = tmp_path / "schedstat"
    account.write_text("0 0 0\n")
    contention = Contention(account)

    assert not contention.observe(0.0)
    account.write_text("0 50000000 9\n")  # 50 ms of 100 ms
    assert contention.observe(0.1)
    account.write_text("0 51000000 9\n")  # 1 ms of 100 ms
    assert not contention.observe(0.2)


def test_a_short_interval_keeps_the_judgement(tmp_path: Path) -> None:
    account = tmp_path / "schedstat"
    account.write_text("0 0 0\n")
    contention = Contention(account)
    contention.observe(0.0)
    account.write_text("0 50000000 9\n")
    contention.observe(0.1)

    assert contention.observe(0.12)


def test_a_kernel_that_keeps_no_account_means_none(tmp_path: Path) -> None:
    assert not Contention(tmp_path / "nothing").observe(1.0)
