"""What the controller reads of an API server and writes to it."""

from collections.abc import Iterator
from typing import Any

import pytest
from patience import eventually

from headrace.contract import names
from headrace.contract.model_endpoint import MODEL_ENDPOINT
from headrace.contract.rollout import Phase
from headrace.routing.rollout.rollout_cluster import BALANCER_SLICES, ENDPOINT_SLICES, WatchedCluster


@pytest.fixture
def watched(api: Any) -> Iterator[WatchedCluster]:
    """A cluster with the kinds installed and nothing in them."""
    api.objects.update({MODEL_ENDPOINT.path: {}, ENDPOINT_SLICES: {}, BALANCER_SLICES: {}})
    found = WatchedCluster(api.client())
    found.start()
    eventually(lambda: found.synced)
    yield found
    found.stop()


def test_changes_are_seen(api: Any, watched: WatchedCluster) -> None:
    assert watched.endpoints() == []
    api.put(MODEL_ENDPOINT.path, "fraud", namespace="endpoint-fraud", spec={})
    labels = {names.ENDPOINT_LABEL: "fraud", names.VERSION_LABEL: "v1"}
    api.put(ENDPOINT_SLICES, "v1-x", namespace="endpoint-fraud", labels=labels)
    eventually(lambda: len(watched.endpoints()) == 1 and len(watched.slices()) == 1)
    assert watched.balancer_slices() == []


def test_a_rollout_replaces_the_one_before_in_the_status_alone(api: Any, watched: WatchedCluster) -> None:
    told = {"version": "v2", "former": "v1", "phase": Phase.WAITING, "weight": 0}
    watched.write_rollout(("endpoint-fraud", "fraud"), told)

    ((path, body),) = api.patches
    assert path.endswith("/serving.headrace.dev/v1alpha1/namespaces/endpoint-fraud/modelendpoints/fraud/status")
    written = body["status"]["rollout"]
    assert {key: value for key, value in written.items() if value is not None} == told
    assert written["stepStartedAt"] is None, "of a merge patch: what was there before is taken away"
