"""Makes tests/patience.py and its neighbours importable: under importlib mode no folder of tests is on the path."""

import json
import os
import platform as machine
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from headrace.contract.errors import HeadraceError
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import packages

sys.path.insert(0, str(Path(__file__).parent))

# Where an environment forbids bytecode, as many images do, each of hundreds of processes compiles all its imports anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

SECONDS = {"long": 3600, "cluster": 1200, "slow": 600}
"""Longest time of a test by its first marker here; of one without, pyproject.toml's `timeout`. With its fixtures: the
first test on the cluster starts it, and slow tests may build a program or download an environment."""
FAILURE_LINES = 40
_RECORD = Path(__file__).parent / "recorded" / "long.json"
_stories: dict[str, dict[str, Any]] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = next((name for name in SECONDS if item.get_closest_marker(name)), None)
        if marker is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS[marker]))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _append_failure(report)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remembers how the long stories ended."""
    if report.failed:
        _append_failure(report)
    if "long" in report.keywords:
        file, _, name = report.nodeid.partition("::")
        story = _stories.setdefault(f"{Path(file).name}::{name}", {"outcome": "passed", "seconds": 0})
        story["seconds"] += round(report.duration)
        if report.outcome != "passed":
            story["outcome"] = report.outcome
        story.update(report.user_properties)


def _append_failure(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Appends a failure's end to the file that `make test` prints last, below the reports of all groups."""
    if path := os.environ.get("HEADRACE_FAILURES"):
        Path(path).parent.mkdir(exist_ok=True)
        tail = "\n".join(report.longreprtext.splitlines()[-FAILURE_LINES:])
        with Path(path).open("a") as failures:
            failures.write(f"{report.nodeid} ({getattr(report, 'when', 'collect')})\n{tail}\n\n")


def pytest_sessionfinish() -> None:
    """`make test-long` keeps what it saw in tests/recorded/long.json; stories that did not run stay there."""
    if _stories and os.environ.get("HEADRACE_RECORD_LONG"):
        from headrace.local.toolchain.programs import KUBERNETES_VERSION  # noqa: PLC0415

        before: dict[str, Any] = json.loads(_RECORD.read_text())["stories"] if _RECORD.exists() else {}
        record = {
            "command": "make test-long",
            "machine": f"{os.cpu_count()} cores, {machine.machine()}",
            "kubernetes": KUBERNETES_VERSION,
            "stories": {**before, **_stories},
        }
        _RECORD.write_text(json.dumps(record, indent=1) + "\n")


# How fast a machine makes examples says nothing about the code.
hypothesis.settings.register_profile("headrace", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("headrace")


@pytest.fixture
def stand_in_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Components build no images in tests that use this."""
    # Here and not at the top: the tests of other folders need not wait for Pulumi to load.
    import stand_ins  # noqa: PLC0415

    from headrace.components.endpoint import model_endpoint, model_source  # noqa: PLC0415
    from headrace.components.platform import serving_platform  # noqa: PLC0415

    monkeypatch.setattr(model_endpoint, "ModelImage", stand_ins.StandInModelImage)
    monkeypatch.setattr(model_source, "resolve", stand_ins.resolve)
    monkeypatch.setattr(serving_platform, "PlatformImage", stand_ins.StandInPlatformImage)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """An empty folder whose path is short enough for sockets; pytest's own grows with the name and number of runs."""
    with tempfile.TemporaryDirectory(prefix="hr-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def api() -> Iterator[Any]:
    """A small API server on loopback."""
    from api_server import ApiServer  # noqa: PLC0415 -- other folders' tests need not wait for Kubernetes' client

    server = ApiServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def skopeo() -> None:
    """The program that copies images from and to registries; Debian's is installed where it is missing."""
    try:
        packages.ensure([packages.REGISTRY_PACKAGE], Progress("tests", steps=1))
    except HeadraceError as error:
        pytest.skip(str(error))
