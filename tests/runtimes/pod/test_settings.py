"""Arguments and environment of the front."""

import json
import sys
from pathlib import Path

import pytest

from headrace.contract.errors import InputError
from headrace.contract.runtime import ENV_ENGINE
from headrace.runtimes.pod import settings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    return tmp_path


def test_a_pod_needs_nothing_but_the_model(model: Path) -> None:
    chosen = settings.parse(["--model", str(model), "--python", sys.executable], {})

    assert (chosen.port, chosen.admin_port) == (8080, 8002)
    assert chosen.concurrency is None
    assert chosen.timeout_seconds == 297.0


def test_an_image_listens_at_all_addresses_and_a_person_at_the_machines_own(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = ["--python", sys.executable]
    by_hand = settings.parse(["--model", str(model), *python], {})
    monkeypatch.setattr(settings.names, "MODEL_HOME", str(model))
    in_an_image = settings.parse(python, {})

    assert (in_an_image.model, in_an_image.host, in_an_image.port, in_an_image.admin_port) == (
        model, "0.0.0.0", 8080, 8002,
    )  # fmt: skip
    assert by_hand.host == "127.0.0.1"
    assert settings.parse(["--model", str(model), "--host", "0.0.0.0", *python], {}).host == "0.0.0.0"


def test_a_port_alone_is_enough_for_a_second_one_on_the_same_machine(model: Path) -> None:
    chosen = settings.parse(["--model", str(model), "--port", "18091"], {})

    assert (chosen.host, chosen.port, chosen.admin_port) == ("127.0.0.1", 18091, None)
    assert chosen.python == Path(sys.executable)
    assert settings.parse(["--model", str(model), "--port", "18091", "--admin-port", "0"], {}).admin_port == 0
    assert settings.parse(["--model", str(model), "--port", "18091", "--admin-port", "18092"], {}).admin_port == 18092


def test_the_environment_sets_limits_and_zero_is_a_value(model: Path) -> None:
    environment = {"HEADRACE_CONCURRENCY": "7", "HEADRACE_WORKERS": "2", "HEADRACE_GRACE_SECONDS": "0"}
    chosen = settings.parse(["--model", str(model), "--python", sys.executable], environment)

    assert (chosen.concurrency, chosen.workers, chosen.grace_seconds) == (7, 2, 0.0)


def test_all_faults_come_in_one_error(tmp_path: Path) -> None:
    environment = {"HEADRACE_CONCURRENCY": "0", "HEADRACE_WORKERS": "many"}

    with pytest.raises(InputError) as raised:
        settings.parse(["--model", str(tmp_path), "--python", "/nowhere"], environment)

    assert len(raised.value.faults) == 4
    assert "HEADRACE_WORKERS = 'many'" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "cores"),
    [("150000 100000", 1.5), ("50000 100000", 0.5), ("max 100000", 3.0), ("900000 100000", 3.0)],
    ids=["a core and a half", "half a core", "no quota", "a quota beyond the cores"],
)
def test_cores_follow_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: float) -> None:
    monkeypatch.setattr(settings.os, "sched_getaffinity", lambda pid: {0, 1, 2})
    (tmp_path / "cpu.max").write_text(text)

    assert settings.cores_allowed(tmp_path) == cores


def test_an_engine_is_one_process_and_needs_no_environment_of_a_model(model: Path) -> None:
    plan = {"engine": {"name": "own", "command": ["serve"], "health": "/health", "protocol": "openai"}}
    chosen = settings.parse(
        ["--model", str(model), "--python", "/nowhere/python"], {ENV_ENGINE: json.dumps(plan), "HEADRACE_WORKERS": "4"}
    )

    assert chosen.engine is not None
    assert chosen.engine.command == ("serve",)
    assert (chosen.worker_count, chosen.python) == (1, Path("/usr/bin/python3"))


def test_a_plan_that_is_none_is_a_fault(model: Path) -> None:
    with pytest.raises(InputError, match="must be the JSON of a plan"):
        settings.parse(["--model", str(model), "--python", sys.executable], {ENV_ENGINE: "{"})


def test_memory_without_a_limit_is_none(tmp_path: Path) -> None:
    assert settings.memory_allowed(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert settings.memory_allowed(tmp_path) is None
    (tmp_path / "memory.max").write_text("1073741824\n")
    assert settings.memory_allowed(tmp_path) == 1 << 30
