"""A new field of an endpoint is one edit: this declaration, and nothing else, is what each test looks at."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest
from object_reference import reference

from headrace.contract.codec import read
from headrace.contract.declaration import Bounds, Style
from headrace.contract.model_endpoint import MODEL_ENDPOINT, ModelEndpointSpec, ServedVersion


@dataclass(frozen=True, kw_only=True)
class WithRetries(ModelEndpointSpec):
    """An endpoint's spec, one release later."""

    retry_share: Annotated[float, Bounds(minimum=0, maximum=1)] = 0.2
    """Share of the requests in flight that may be tried again at once."""


VERSION = {"name": "v7", "modelUri": "models:/fraud/7", "image": "i"}


def written(**given: Any) -> WithRetries | None:
    spec, faults = read(WithRetries, {"versions": [VERSION], **given}, Style.KUBERNETES)
    assert faults == []
    return spec


def test_it_is_read_and_written_and_has_its_default() -> None:
    spec = written(retryShare=0)

    assert spec is not None
    assert (spec.retry_share, spec.to_json()["retryShare"]) == (0.0, 0.0)
    assert written() == WithRetries(
        versions=(ServedVersion(name="v7", model_uri="models:/fraud/7", image="i"),), retry_share=0.2
    )


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (1.5, "retryShare = 1.5, must be at most 1"),
        (-0.1, "retryShare = -0.1, must be at least 0"),
        ("half", "retryShare = 'half', must be a number"),
    ],
)
def test_what_it_must_not_be_is_said_together_with_the_other_faults(value: object, fault: str) -> None:
    _, faults = read(WithRetries, {"versions": [VERSION], "timeoutSeconds": 0, "retryShare": value}, Style.KUBERNETES)

    assert [str(each) for each in faults] == ["timeoutSeconds = 0, must be at least 0.001", fault]


def test_the_api_server_knows_it() -> None:
    (version,) = replace(MODEL_ENDPOINT, spec=WithRetries).crd()["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]

    assert spec["properties"]["retryShare"] == {"type": "number", "minimum": 0, "maximum": 1, "default": 0.2}
    assert spec["required"] == ["versions"]


def test_the_reference_has_it() -> None:
    page = "".join(reference(replace(MODEL_ENDPOINT, spec=WithRetries)))

    assert (
        "| `retryShare` | number | `0.2` | at least 0, at most 1 | Share of the requests in flight that may be tried "
        "again at once. |"
    ) in page


def test_a_program_of_before_reads_the_object_all_the_same() -> None:
    """While a cluster is upgraded, some programs do not know the field yet."""
    spec = written(retryShare=0.5)

    assert spec is not None
    assert ModelEndpointSpec.from_json(spec.to_json()).timeout_seconds == 297.0
