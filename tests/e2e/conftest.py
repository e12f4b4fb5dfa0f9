"""The platform on a real cluster, shared by every end-to-end test: removed at the end by whoever brought it up."""

import json
import os
import platform as machine
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_platform import Platform, assert_machine_is_clean, eventually, quiet
from live_scaling import Scaled, offered

from headrace.local import cluster_layout, demo, demo_model, target_cluster, tracking_server
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import KUBERNETES_VERSION

_HERE = Path(__file__).parent
_RECORD = _HERE.parent / "recorded" / "long.json"
_stories: dict[str, dict[str, Any]] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs a cluster."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remembers how the long stories ended."""
    if "long" in report.keywords:
        story = _stories.setdefault(report.nodeid.partition("e2e/")[2], {"outcome": "passed", "seconds": 0})
        story["seconds"] += round(report.duration)
        if report.outcome != "passed":
            story["outcome"] = report.outcome
        story.update(report.user_properties)


def pytest_sessionfinish() -> None:
    """`make test-long` keeps what it saw in tests/recorded/long.json."""
    if _stories and os.environ.get("HEADRACE_RECORD_LONG"):
        _RECORD.parent.mkdir(exist_ok=True)
        record = {
            "command": "make test-long",
            "machine": f"{os.cpu_count()} cores, {machine.machine()}",
            "kubernetes": KUBERNETES_VERSION,
            "stories": _stories,
        }
        _RECORD.write_text(json.dumps(record, indent=1) + "\n")


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The demo: the one that runs, or one brought up for the tests and taken down after them."""
    found = demo.description_file().exists()
    description = demo.run()
    target = target_cluster.ensure(quiet())
    yield Platform(
        description=description,
        model=demo_model.ensure(tracking_server.uri()),
        cluster=target,
        stack=PulumiStack(programs=builder.deployer(quiet())),
    )
    if not found:
        demo.down()
        assert_machine_is_clean(cluster_layout.folders().root)


@pytest.fixture(autouse=True)
def _told(request: pytest.FixtureRequest) -> Iterator[None]:
    """The record of a story says how many requests were sent meanwhile, and how many were not answered with 200."""
    offered.clear()
    yield
    statuses = [answer.status for load in offered for answer in load.answers]
    if statuses:
        request.node.user_properties += [("requests", len(statuses)), ("not_200", len(statuses) - statuses.count(200))]


@pytest.fixture(scope="module")
def scaled(platform: Platform) -> Iterator[Scaled]:
    """One pod, at most six."""
    found = Scaled(platform)
    found.up(max_replicas=6)
    eventually(lambda: found.ask() == 200)
    yield found
    found.down()
