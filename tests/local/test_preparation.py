"""What is built beforehand is what tests and the demo look for."""

import io

import pytest

from headrace.images import collector
from headrace.images.architecture import of_this_machine
from headrace.images.store import Store, cache_directory
from headrace.local import preparation
from headrace.local.toolchain import builder


@pytest.mark.slow
def test_afterwards_nothing_is_left_to_build(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = io.StringIO()
    preparation.build(said)

    assert builder.missing(with_cluster=True) == []
    log = tmp_path_factory.mktemp("collector") / "build.log"
    _, was_built = collector.collector_layer(Store(cache_directory()), of_this_machine(), log=log)
    assert not was_built
    assert "build the Collector from its Go modules: done in" in said.getvalue()
