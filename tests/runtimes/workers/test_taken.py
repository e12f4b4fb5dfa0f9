"""What a worker took up is known to the front, however the worker ends."""

import os
import signal
import subprocess
import sys

from headrace.runtimes.workers.taken import Taken

WORKER = """
import mmap, sys, time
memoryview(mmap.mmap(int(sys.argv[1]), 8)).cast("Q")[0] = 3
print("taken", flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_took_up_is_still_known() -> None:
    taken = Taken()
    command = [sys.executable, "-c", WORKER, str(taken.descriptor)]
    worker = subprocess.Popen(command, pass_fds=(taken.descriptor,), stdout=subprocess.PIPE)
    taken.close()
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"taken\n"
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate()

    assert [taken.holds(number) for number in (1, 3, 4)] == [True, True, False]


def test_before_the_first_call_nothing_is_taken() -> None:
    taken = Taken()
    taken.close()

    assert not taken.holds(1)
