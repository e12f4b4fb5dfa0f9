from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_view import ClusterView


@pytest.fixture
def view(tmp_path: Path) -> Iterator[ClusterView]:
    """A cluster with no endpoint yet."""
    found = ClusterView(tmp_path)
    yield found
    found.server.stop()
