"""PlatformImage, recorded."""

from typing import Any

import pulumi
import pytest

from headrace.components.kubernetes.checks import ArgsError
from headrace.components.platform.platform_image import PlatformImage
from headrace.components.testing import Recording, record

DELIVERY = {"kind": "registry", "repository": "registry.example/team"}
BUILD = "pulumi-python:dynamic/headrace:ImageBuild"


def _record(args: Any) -> Recording:
    def program() -> None:
        pulumi.export("image", PlatformImage("proxy", args).image)

    return record(program, answers={BUILD: {"image": "registry.example/team/x@sha256:1", "digest": "sha256:1"}})


@pytest.mark.parametrize("kind", ["control", "envoy", "prometheus"])
def test_one_build_belongs_to_the_component_and_gives_its_outputs(kind: str) -> None:
    recording = _record({"kind": kind, "delivery": DELIVERY})

    component = recording.named("proxy")
    (build,) = recording.children(component)
    assert component.type == "headrace:index:PlatformImage"
    assert build.type == BUILD
    assert build.inputs["request"]["name"] == f"platform/{kind}"
    assert recording.outputs[component.urn]["image"] == recording.exports["image"] == "registry.example/team/x@sha256:1"


def test_every_fault_is_reported_at_once_and_nothing_is_registered() -> None:
    with pytest.raises(ArgsError) as caught:
        _record({"kind": "nginx", "delivery": {"kind": "registry"}, "bases": {}})

    for words in ("kind = 'nginx', must be one of control, envoy, prometheus", "repository is missing", "'bases'"):
        assert words in str(caught.value)


def test_the_destination_may_come_from_another_resource() -> None:
    recording = _record({"kind": "envoy", "delivery": pulumi.Output.from_input(DELIVERY)})

    assert recording.named("proxy-build").inputs["request"]["delivery"]["repository"] == "registry.example/team"
