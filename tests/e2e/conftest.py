"""The platform on a real cluster, shared by every end-to-end test: removed at the end by whoever brought it up."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from live_platform import Platform, assert_machine_is_clean, eventually, quiet
from live_scaling import Scaled, offered

from headrace.local import cluster_layout, demo, demo_model, target_cluster, tracking_server
from headrace.local.pulumi_stack import PulumiStack
from headrace.local.target_cluster import TargetCluster
from headrace.local.toolchain import builder

_HERE = Path(__file__).parent
_OWN_PLATFORM = frozenset(("test_aws_cluster.py",))
_CHANGE_ENDPOINTS = frozenset(
    f"test_{name}.py"
    for name in ("architectures", "cold_start", "inference_table", "model_environment", "needs", "python_version")
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs a cluster. Those that bring a platform of their own go before the demo's; those
    that leave other endpoints than the demo's go last, since the first update of each removes what the one before left.
    """
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: (item.path.name in _CHANGE_ENDPOINTS) - (item.path.name in _OWN_PLATFORM))


@pytest.fixture(scope="session")
def target() -> Iterator[TargetCluster]:
    """The cluster: the one that runs, or one started for the tests and removed after them."""
    found = demo.description_file().exists()
    with ExitStack() as after:
        if not found:
            after.callback(_take_down)  # what failed half way up as well: a cluster left behind blocks the next run
        yield target_cluster.ensure(quiet())


def _take_down() -> None:
    demo.down()
    assert_machine_is_clean(cluster_layout.folders().root)


@pytest.fixture(scope="session")
def platform(target: TargetCluster, request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The demo: the one that runs, which is as it was afterwards, or one brought up for the tests."""
    found = demo.description_file().exists()
    running = Platform(
        description=demo.run(),
        model=demo_model.ensure(tracking_server.uri()),
        cluster=target,
        stack=PulumiStack(programs=builder.deployer(quiet())),
    )
    yield running
    if found and any(item.path.name in _CHANGE_ENDPOINTS for item in request.session.items):
        running.stack.up(running.settings([running.endpoint]))


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
