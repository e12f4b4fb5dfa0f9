"""A journal decides the same again, and something else under another spec."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.autoscaler import replay
from headrace.autoscaler.engine import encode
from headrace.contract.errors import InputError


def test_a_journal_replays_to_the_same_decisions(recorded: Path) -> None:
    (found,) = replay.replay(replay.read(recorded))

    assert len(found.steps) == 200
    assert found.differences == 0
    assert all(encode(step.was) == encode(step.would) for step in found.steps)


def test_another_spec_shows_what_it_would_have_done(recorded: Path) -> None:
    (found,) = replay.replay(replay.read(recorded), spec={"maxReplicas": 3})

    assert max(step.was.replicas for step in found.steps) > 3
    assert max(step.would.replicas for step in found.steps) == 3
    was, would = found.pod_seconds()
    assert would < was


def test_a_spec_that_breaks_a_rule_is_refused(recorded: Path) -> None:
    with pytest.raises(InputError, match="minReplicas = 9"):
        replay.replay(replay.read(recorded), spec={"maxReplicas": 3, "minReplicas": 9})


def test_a_journal_cut_short_is_read_to_its_last_whole_line(recorded: Path) -> None:
    text = recorded.read_text()
    recorded.write_text(text[:-40])

    (found,) = replay.replay(replay.read(recorded))

    assert len(found.steps) == 199


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello\nworld\n")

    with pytest.raises(InputError, match="line 1"):
        list(replay.read(path))


def test_a_journal_of_an_earlier_release_is_refused_with_the_remedy(recorded: Path) -> None:
    first, *others = recorded.read_text().splitlines()
    earlier = {name: value for name, value in json.loads(first).items() if name != "format"}
    recorded.write_text("\n".join([json.dumps(earlier), *others]) + "\n")

    with pytest.raises(InputError, match="line 1 has format 1, must be 2: replay it with the release that wrote it"):
        replay.replay(replay.read(recorded))


def test_a_journal_that_begins_in_the_middle_waits_for_a_memory(recorded: Path) -> None:
    lines = recorded.read_text().splitlines()
    assert "memory" in json.loads(lines[0])
    recorded.write_text("\n".join(lines[1:]) + "\n")

    assert replay.replay(replay.read(recorded)) == []


@pytest.mark.slow
def test_the_command_prints_the_changes_and_draws_them(recorded: Path, tmp_path: Path) -> None:
    picture = tmp_path / "replay.svg"
    command = [sys.executable, "-m", "headrace.autoscaler", "replay", str(recorded)]
    ran = subprocess.run(
        [*command, "--spec", '{"maxReplicas": 3}', "--plot", str(picture)], capture_output=True, text=True, check=True
    )

    assert "endpoint-fraud/v1: 200 looks" in ran.stdout
    assert "LimitReached" in ran.stdout
    assert picture.read_text().startswith("<?xml")

    wrong = subprocess.run([*command, "--spec", "{"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "is not JSON" in wrong.stderr
