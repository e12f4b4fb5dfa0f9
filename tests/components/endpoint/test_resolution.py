"""How often, and how far side by side, a program asks the tracking server what its endpoints serve."""

import threading
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
import tracking_stand_in
from stand_ins import DELIVERY
from tracking_stand_in import TrackingStandIn

from headrace.components import ModelEndpoint
from headrace.components.endpoint.model_endpoint import require_servable
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrackingStandIn]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with tracking_stand_in.running() as found:
        yield found


def _program(server: TrackingStandIn, models: dict[str, str]) -> Recording:
    """Endpoints by name and model, as __main__.py declares them."""
    endpoints: dict[str, Any] = {
        name: {"model_uri": f"models:/{model}/1", "tracking_uri": server.uri} for name, model in models.items()
    }

    def program() -> None:
        found = require_servable(endpoints)
        for name, args in endpoints.items():
            ModelEndpoint(name, {"platform": REF, **args}, sources=found[name])

    return record(program, preview=True)


def test_an_endpoint_asks_the_tracking_server_once_a_preview(server: TrackingStandIn) -> None:
    recording = _program(server, {"fraud": "fraud", "churn": "churn"})

    for model in ("fraud", "churn"):
        assert (
            recording.named(f"{model}-image-build").inputs["request"]["model"]["source"].endswith(f"{model}/artifacts")
        )
        assert server.count(f"model-versions/get-download-uri {model}") == 1
        assert server.count(f"download 0/models/{model}/artifacts/MLmodel") == 1


def test_endpoints_of_one_model_ask_for_it_once(server: TrackingStandIn) -> None:
    _program(server, {f"fraud-{number}": "fraud" for number in range(20)})

    assert server.count("model-versions/get-download-uri fraud") == 1


def test_an_endpoint_without_a_program_around_it_asks_for_itself(server: TrackingStandIn) -> None:
    record(
        lambda: ModelEndpoint("fraud", {"platform": REF, "model_uri": "models:/fraud/1", "tracking_uri": server.uri})
    )

    assert server.count("model-versions/get-download-uri fraud") == 1


def test_a_name_that_moves_is_said_with_the_version_that_it_has_now(
    server: TrackingStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "info", lambda message, *_: said.append(message))
    server.answers |= {
        "registered-models/alias": lambda asked: {"model_version": {"version": "3"}},
        "registered-models/get": lambda asked: {},
        "model-versions/search": lambda asked: {"model_versions": [{"version": "9"}, {"version": "10"}]},
    }
    uris = {"fraud": "models:/fraud@champion", "churn": "models:/churn/latest", "price": "models:/price/1"}

    def program() -> None:
        for name, uri in uris.items():
            ModelEndpoint(name, {"platform": REF, "model_uri": uri, "tracking_uri": server.uri})

    recording = record(program)

    assert [message for message in said if "now;" in message] == [
        "models:/fraud@champion is models:/fraud/3 now; each update follows it",
        "models:/churn/latest is models:/churn/10 now; each update follows it",
    ]
    for deployment in ("fraud-v3-deployment", "churn-v10-deployment", "price-v1-deployment"):
        assert recording.named(deployment)


def test_models_are_asked_for_side_by_side(server: TrackingStandIn) -> None:
    """No version is told before four have been asked for."""
    server.together = threading.Barrier(4)

    _program(server, {name: name for name in ("fraud", "churn", "price", "risk")})

    assert not server.together.broken


def test_every_model_that_is_missing_is_named(server: TrackingStandIn) -> None:
    with pytest.raises(ArgsError) as caught:
        _program(server, {"fraud": "missing-1", "churn": "churn", "price": "missing-2"})

    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["fraud", "price"]
    assert "missing-1" in str(caught.value)
