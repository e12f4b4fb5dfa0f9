"""What the table writer and the console are told at start."""

from pathlib import Path

import pytest

from headrace.contract.errors import InputError
from headrace.observability.console import settings as of_console
from headrace.observability.tables.settings import Settings


def test_options_of_stores_are_a_secrets_files_as_they_are_now(tmp_path: Path) -> None:
    settings = Settings.from_environment({"HEADRACE_STORAGE_DIRECTORY": str(tmp_path / "storage")})
    assert settings.storage_options() == {}
    data = tmp_path / "storage" / "..data"
    data.mkdir(parents=True)
    (tmp_path / "storage" / "AWS_REGION").write_text("eu-west-1\n")

    assert settings.storage_options() == {"AWS_REGION": "eu-west-1"}


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(InputError, match=r"HEADRACE_TABLES_PORT = 'x'.*HEADRACE_HEALTH_PORT = '99999'"):
        Settings.from_environment({"HEADRACE_TABLES_PORT": "x", "HEADRACE_HEALTH_PORT": "99999"})


def test_the_console_knows_its_settings_and_reads_the_platform_s_files_when_asked(tmp_path: Path) -> None:
    given = {
        "HEADRACE_CONSOLE_TABLES": "tables:8084",
        "HEADRACE_CONSOLE_PLATFORM_DIRECTORY": str(tmp_path),
        "PATH": "x",
    }
    settings = of_console.Settings.from_environment(given)

    assert (settings.tables, settings.prometheus_url) == ("tables:8084", "")
    assert (settings.url, settings.ca_certificate) == ("", "")
    (tmp_path / "url").write_text("https://models.example")
    assert settings.url == "https://models.example"
    with pytest.raises(InputError, match="HEADRACE_CONSOLE_TABLE is not a setting"):
        of_console.Settings.from_environment({"HEADRACE_CONSOLE_TABLE": "x"})
