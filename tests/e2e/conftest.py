"""The platform on a real cluster, shared by every end-to-end test: removed at the end by whoever brought it up."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_platform import Platform, assert_machine_is_clean, quiet

from headrace.stacks.local import demo, demo_model, layout, registry, target
from headrace.stacks.local.deployment import Deployment
from headrace.stacks.local.toolchain import builder

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs a cluster."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """The demo: the one that runs, or one brought up for the tests and taken down after them."""
    found = demo.description_file().exists()
    description = demo.run()
    place = target.ensure(quiet())
    yield Platform(
        description=description,
        model=demo_model.ensure(registry.uri()),
        place=place,
        deployment=Deployment(programs=builder.deployer(quiet())),
    )
    if not found:
        demo.down()
        assert_machine_is_clean(layout.folders().root)
