"""The parts of a trial that need no model; `test_try_model` runs whole ones."""

import os
import socket
import subprocess
import sys

import pytest

from headrace.cli import trial
from headrace.contract.errors import TemporaryError


def test_ports_are_free_and_differ() -> None:
    first, second = trial._ports(0)

    assert first != second
    assert trial._ports(first)[0] == first


def test_a_port_that_is_taken_is_said_with_its_number() -> None:
    with socket.socket() as taken:
        taken.bind((trial.LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TemporaryError, match=f"--port = {port} cannot be used"):
            trial._ports(port)


def test_the_processes_of_a_trial_are_those_that_its_front_started() -> None:
    program = (
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'input()']); print(1, flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as front:
        assert front.stdout is not None
        front.stdout.readline()
        found = list(trial._family(front.pid))
        assert found[0] == front.pid
        assert len(found) == 2
        assert all(trial._resident_mib(pid) > 0 for pid in found)
        front.kill()
        os.kill(found[1], 9)


def test_a_process_that_is_gone_costs_nothing() -> None:
    assert trial._cpu_seconds(2**22 + 1) == 0.0
    assert trial._resident_mib(2**22 + 1) == 0.0
    assert trial._cpu_seconds(os.getpid()) > 0


def test_a_line_of_the_log_is_told_by_its_message() -> None:
    assert trial._message('{"body": "out of memory"}') == "out of memory"
    assert trial._message("no JSON") == "no JSON"
    assert trial._message("[1]") == "[1]"
