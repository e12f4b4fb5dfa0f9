"""What a user reads when Pulumi fails: Pulumi's own diagnostics, without our call stacks. And what is ended after a
Pulumi that was killed: its plugins, and nobody's shell."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import eventually

from headrace.contract.errors import TemporaryError
from headrace.local import pulumi_stack
from headrace.local.processes import start_time
from headrace.local.pulumi_stack import PulumiStack

OUTPUT = """\
 +  pulumi-python:dynamic/headrace:ImageBuild fraud-image-build creating (0s)
Diagnostics:
  pulumi-python:dynamic/headrace:ImageBuild (fraud-image-build):
    error: Traceback (most recent call last):
      File "pulumi/dynamic/__main__.py", line 84, in wrapper
        return fn(self, request, context)
    headrace.contract.errors.PermanentError: models:/fraud/7 needs numpy==1.0, which does not exist; log it again
    Build log: model-fraud.log

Outputs:
    ca_certificate: "-----BEGIN CERTIFICATE-----"
"""


def test_diagnostics_are_the_sentence_and_not_the_call_stack_or_the_outputs() -> None:
    shown = pulumi_stack.diagnostics(OUTPUT)

    assert "error: models:/fraud/7 needs numpy==1.0, which does not exist; log it again\n" in shown
    assert "Build log: model-fraud.log" in shown
    for noise in ("Traceback", "File", "Outputs", "creating"):
        assert noise not in shown


def test_without_diagnostics_the_end_of_the_output_is_shown() -> None:
    assert pulumi_stack.diagnostics("error: no such file") == "error: no such file"


@pytest.fixture
def state(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_STATE", str(short_path / "state"))
    (short_path / "state" / "pulumi" / "project").mkdir(parents=True)
    return short_path / "state"


@pytest.fixture
def pulumi(short_path: Path) -> Path:
    """A folder with a stand-in for `pulumi`, which starts a plugin in a process group of its own, as Pulumi does."""
    programs = short_path / "programs"
    programs.mkdir()
    script = f"#!/bin/bash\nset -m\nsleep 300 &\necho $! > {short_path}/plugin\necho $$ > {short_path}/pulumi\nwait\n"
    (programs / "pulumi").write_text(script)
    (programs / "pulumi").chmod(0o755)
    return programs


@pytest.fixture
def sleeping() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test starts, ended after it."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def _number(path: Path) -> int:
    return int(eventually(lambda: path.exists() and path.read_text().strip(), f"a process id in {path.name}"))


def test_a_person_who_drives_the_stack_by_hand_keeps_the_shell_and_make_down_itself(state: Path) -> None:
    by_hand = {**os.environ, "PULUMI_BACKEND_URL": f"file://{state / 'pulumi' / 'state'}"}
    program = "from headrace.local import pulumi_stack as p; p.end_orphans(); print('down')"
    shell = ["bash", "-c", '"$0" -c "$1"; echo and the shell lives', sys.executable, program]

    done = subprocess.run(shell, env=by_hand, capture_output=True, text=True, check=True)

    assert done.stdout == "down\nand the shell lives\n"


def test_the_plugins_of_a_killed_pulumi_are_ended(state: Path, pulumi: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from headrace.local.pulumi_stack import PulumiStack;"
        "PulumiStack(programs=Path(sys.argv[1])).outputs()"
    )
    demo = subprocess.Popen([sys.executable, "-c", program, str(pulumi)], stdout=subprocess.DEVNULL)
    plugin, engine = _number(pulumi.parent / "plugin"), _number(pulumi.parent / "pulumi")
    demo.kill()
    demo.wait()
    os.kill(engine, signal.SIGKILL)
    assert start_time(plugin) is not None

    pulumi_stack.end_orphans()

    assert start_time(plugin) is None
    assert list((state / "pulumi" / "sessions").iterdir()) == []


def test_a_session_whose_number_another_program_has_by_now_is_left_alone(
    state: Path, sleeping: list[subprocess.Popen[bytes]]
) -> None:
    mark = {"PULUMI_BACKEND_URL": f"file://{state / 'pulumi' / 'state'}"}
    sleeping.append(subprocess.Popen(["sleep", "300"], env={**os.environ, **mark}, start_new_session=True))
    sessions = state / "pulumi" / "sessions"
    sessions.mkdir()
    (sessions / str(sleeping[0].pid)).write_text("1")  # when ours began, long ago

    pulumi_stack.end_orphans()

    assert sleeping[0].poll() is None


def test_a_lock_that_a_person_holds_by_hand_is_respected(
    state: Path, pulumi: Path, sleeping: list[subprocess.Popen[bytes]]
) -> None:
    log = pulumi.parent / "log"
    (pulumi / "pulumi").write_text(
        f"#!/bin/sh\necho $1 >> {log}\n[ $1 = stack ] && exit 0\necho the stack is currently locked >&2\nexit 255\n"
    )
    theirs = shutil.copy("/bin/sleep", pulumi.parent / "theirs")
    Path(theirs).rename(pulumi.parent / "pulumi")
    stack = PulumiStack(programs=pulumi)
    sleeping.append(subprocess.Popen([str(pulumi.parent / "pulumi"), "300"], env=stack.environment()))

    with pytest.raises(TemporaryError, match="currently locked"):
        stack.up({"kubeconfig": "/nowhere"})

    assert "cancel" not in log.read_text()
    assert sleeping[0].poll() is None
