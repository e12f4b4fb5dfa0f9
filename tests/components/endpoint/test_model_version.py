"""One version: what is known of it in a preview, and in what order its objects come."""

from typing import Any

import pytest
from stand_ins import IMAGE, REF_OF_A_PLATFORM, StandInModelImage

from headrace.components import ModelEndpoint
from headrace.components.endpoint.endpoint_versions import VersionInputs
from headrace.components.endpoint.model_version import ModelVersion
from headrace.components.testing import record
from headrace.contract.model_endpoint import ServedVersion

pytestmark = pytest.mark.usefixtures("stand_in_images")


def test_a_version_has_its_models_name_unless_it_has_its_own_and_time_to_load() -> None:
    found: list[ModelVersion] = []

    def program() -> None:
        for name in (None, "challenger"):
            asked: Any = VersionInputs(model_uri="models:/fraud/7", name=name, weight=50, shadow=0)
            image: Any = StandInModelImage(f"image-{name}", {"model_uri": asked.model_uri})
            found.append(ModelVersion(asked, image, start_seconds=90))

    record(program)

    assert [version.name for version in found] == ["v7", "challenger"]
    assert [version.start_seconds for version in found] == [90, 90]
    assert found[1].served(IMAGE) == ServedVersion(
        name="challenger",
        model_uri="models:/fraud/7",
        image=IMAGE,
        weight=50,
        runtime="mlflow",
        reasons=found[1].reasons,
    )


def test_the_autoscaler_is_told_of_a_deployment_that_is_there() -> None:
    given: Any = {"platform": REF_OF_A_PLATFORM, "model_uri": "models:/fraud/7"}
    recording = record(lambda: ModelEndpoint("fraud", given))

    for before in ("fraud-v7-service", "fraud-v7-deployment"):
        assert recording.waits_for("fraud-v7-autoscaler", before)
