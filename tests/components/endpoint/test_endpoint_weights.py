"""Large weights: when pods copy them, from where, and what is wrong with the input."""

from typing import Any

import pytest
from stand_ins import large_source as source

from headrace.components.endpoint.endpoint_weights import Weights, WeightsPlan, plan, streamed_bytes, weights_faults
from headrace.contract.codec import decode


def planned(found: Any, deployer: dict[str, str] | None = None, **weights: Any) -> WeightsPlan | str:
    return plan(found, decode(Weights, weights), {} if deployer is None else deployer)


@pytest.mark.parametrize(
    ("server", "rule"),
    [
        ("https://10.1.2.3", {"cidr": "10.1.2.3/32", "ports": (443,)}),
        ("http://mlflow.ml.svc.cluster.local:5000", {"namespace": "ml", "ports": (5000,)}),
        ("http://mlflow.ml.svc", {"namespace": "ml", "ports": (80,)}),
    ],
)
def test_where_the_server_is_follows_from_its_address(server: str, rule: dict[str, Any]) -> None:
    found = planned(source(server=server))

    assert isinstance(found, WeightsPlan)
    (opened,) = found.egress
    assert {name: getattr(opened, name) for name in rule} == rule
    assert found.resolves_names is not server.startswith("https://10.")


@pytest.mark.parametrize(
    ("found", "deployer", "words"),
    [
        (source(gib=1), {}, ""),
        (source("/models/big"), {}, "pods cannot read /models/big; keep large models in an artifact store"),
        (
            source(server="https://mlflow.example.com"),
            {},
            "know no names such as mlflow.example.com; set weights.egress",
        ),
        (source("dbfs:/m"), {}, "pods cannot read dbfs:/m"),
        (source("s3://bucket/m"), {}, "connect to nobody by default; set weights.egress to the store's addresses"),
        (
            source(server="http://127.0.0.1:5000"),
            {},
            "do not reach http://127.0.0.1:5000; set weights.tracking_uri",
        ),
        (source(server="http://localhost:5000"), {}, "do not reach http://localhost:5000"),
        (source(), {"MLFLOW_TRACKING_TOKEN": "t"}, "set weights.environment[MLFLOW_TRACKING_TOKEN]"),
    ],
)
def test_weights_that_pods_could_not_copy_stay_in_the_image_and_the_preview_says_why(
    found: Any, deployer: dict[str, str], words: str
) -> None:
    said = planned(found, deployer)

    assert isinstance(said, str)
    assert words in said
    assert streamed_bytes(Weights(), said) == 0


def test_object_stores_are_read_directly_once_the_way_is_open() -> None:
    found = planned(source("s3://bucket/m"), egress=[{"cidr": "10.9.0.0/16", "ports": [443]}])

    assert isinstance(found, WeightsPlan)
    assert (found.source, found.tracking_uri) == ("s3://bucket/m", "")


def test_small_thresholds_make_small_files_weights() -> None:
    weights = decode(Weights, {"above_mib": 1})

    assert streamed_bytes(weights, plan(source(), weights, {})) == 1024**2
    assert streamed_bytes(Weights(), plan(source(), Weights(), {})) == 4 * 1024**2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cache": {}}, "weights.cache has neither claim and node_path, must have one of them"),
        ({"cache": {"claim": "a", "node_path": "/a"}}, "weights.cache has both claim and node_path"),
        ({"environment": {"PATH": "/"}}, "weights.environment[PATH] cannot be set"),
        ({"egress": [{"ports": [443]}]}, "weights.egress[0] has no destination"),
    ],
)
def test_what_is_wrong_is_said_by_its_place(given: dict[str, Any], words: str) -> None:
    assert any(words in fault for fault in weights_faults(given))
