"""What a shell asks when somebody presses Tab, and what every command takes."""

from pathlib import Path

import pytest
import typer
from cluster_view import ClusterView, endpoint
from typer.testing import CliRunner

from headrace.cli.__main__ import app

NO_JSON = {
    "keygen": "prints a key in PEM",
    "mcp": "speaks with a program",
    "query": "prints what the endpoint answers, as it comes",
}


def completed(line: str) -> set[str]:
    """As bash asks it."""
    asked = {"_HEADRACE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    return set(CliRunner().invoke(app, [], prog_name="headrace", env=asked).stdout.split())


@pytest.mark.parametrize(
    ("line", "offered"), [("headrace ro", {"rollback", "rollout"}), ("headrace up --pre", {"--preview"})]
)
def test_a_shell_completes_commands_and_options(line: str, offered: set[str]) -> None:
    assert completed(line) == offered


def test_a_shell_completes_endpoints_of_the_cluster_and_none_without_one(view: ClusterView, tmp_path: Path) -> None:
    view.has(endpoint())

    assert completed(f"headrace why --kubeconfig {tmp_path}/kubeconfig f") == {"fraud"}
    assert completed(f"headrace open --kubeconfig {tmp_path}/none f") == set()


def test_every_command_prints_json_but_those_whose_output_has_a_form_of_its_own() -> None:
    commands = dict(typer.main.get_group(app).commands)
    for group in [name for name, command in commands.items() if isinstance(command, typer.core.TyperGroup)]:
        commands |= {f"{group} {name}": command for name, command in commands.pop(group).commands.items()}
    without = {
        name for name, command in commands.items() if not any("--json" in option.opts for option in command.params)
    }

    assert without == set(NO_JSON)
