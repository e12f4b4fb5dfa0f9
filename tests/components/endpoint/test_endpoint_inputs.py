"""Inputs of an endpoint are written for Pulumi, which reads names, types and docstrings from the source of a TypedDict,
and declared for everybody else. These tests hold the two together."""

import json
import re
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, is_dataclass
from enum import Enum
from typing import Annotated, Any, NotRequired

import pulumi
import pytest
from object_reference import docstrings
from stand_ins import DELIVERY

from headrace.components.endpoint import endpoint_inputs
from headrace.components.endpoint.endpoint_egress import EgressRule, EndpointEgress
from headrace.components.endpoint.endpoint_identity import EndpointServiceAccount, ServiceAccount
from headrace.components.endpoint.endpoint_inputs import (
    CheckedInputs,
    CheckedQuota,
    EndpointLimits,
    EndpointQuota,
    ModelEndpointArgs,
)
from headrace.components.endpoint.endpoint_placement import EndpointToleration, Toleration
from headrace.components.endpoint.endpoint_scale import EndpointScale
from headrace.components.endpoint.endpoint_versions import EndpointVersion, VersionInputs
from headrace.components.endpoint.endpoint_volumes import EndpointVolume, VolumeSource
from headrace.components.endpoint.model_endpoint import ModelEndpoint
from headrace.components.endpoint.runtime_choice import EndpointRuntime
from headrace.components.endpoint.selection.choice import RuntimeRequest
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import record
from headrace.contract.apa import AutoscalerSpec
from headrace.contract.declaration import Bounds, Member, Style, members, shape
from headrace.contract.limits import Limits
from headrace.contract.model_endpoint import ModelEndpointSpec

pytestmark = pytest.mark.usefixtures("stand_in_images")

REF: Any = {
    "namespace": "headrace-system",
    "url": "https://models.example",
    "image_delivery": DELIVERY,
    "image_base": {},
}
NO_INPUTS = {
    ModelEndpointSpec: {"versions"},
    AutoscalerSpec: {
        *("target", "predecessor", "cold_start_seconds", "stopped"),
        *("min_concurrency", "max_concurrency", "initial_concurrency"),
        *("currency", "price_source"),
    },
    CheckedInputs: {"endpoint"},
}
"""Fields that the component fills in itself, or leaves at their defaults."""
WRITTEN: list[tuple[Any, tuple[type, ...]]] = [
    (ModelEndpointArgs, (ModelEndpointSpec, CheckedInputs)),
    (EndpointScale, (AutoscalerSpec,)),
    (EndpointQuota, (CheckedQuota,)),
    (EndpointLimits, (Limits,)),
    (EndpointVersion, (VersionInputs,)),
    (EndpointRuntime, (RuntimeRequest,)),
    (EndpointEgress, (EgressRule,)),
    (EndpointServiceAccount, (ServiceAccount,)),
    (EndpointVolume, (VolumeSource,)),
    (EndpointToleration, (Toleration,)),
]


def declared(kinds: tuple[type, ...]) -> dict[str, Member]:
    return {
        member.name: member
        for kind in kinds
        for member in members(kind, Style.PLAIN)
        if member.name not in NO_INPUTS.get(kind, ())
    }


@pytest.mark.parametrize(("written", "kinds"), WRITTEN)
def test_every_input_is_written_and_declared(written: Any, kinds: tuple[type, ...]) -> None:
    assert set(written.__annotations__) == set(declared(kinds))
    required = {name for name, member in declared(kinds).items() if member.default is MISSING}
    assert written.__required_keys__ == required


@pytest.mark.parametrize(("written", "kinds"), WRITTEN)
def test_written_and_declared_types_are_the_same(written: Any, kinds: tuple[type, ...]) -> None:
    for name, member in declared(kinds).items():
        if member.shape.kind is not Any:
            assert plain(written.__annotations__[name]) == plain(member.shape.kind), name


@pytest.mark.parametrize(("written", "kinds"), WRITTEN)
def test_the_words_for_an_input_tell_its_default(written: Any, kinds: tuple[type, ...]) -> None:
    words = docstrings(written)
    for name, member in declared(kinds).items():
        if member.default not in (MISSING, None, (), {}, "") and not is_dataclass(member.default):
            told = re.search(r"Default (\S+?)[.:,;]?(\s|$)", words[name])
            assert told is not None, name
            assert told[1] == in_words(member.default), name


@pytest.mark.parametrize(("written", "kind"), [(ModelEndpointArgs, ModelEndpointSpec), (EndpointScale, AutoscalerSpec)])
def test_an_input_that_an_object_has_too_is_told_in_the_same_words(written: Any, kind: type) -> None:
    own = written.__annotations__.keys() - NO_INPUTS.get(kind, set())
    told = {name: words for name, words in docstrings(kind).items() if name in own}

    assert told
    assert told == {name: words for name, words in docstrings(written).items() if name in told}


@dataclass(frozen=True, kw_only=True)
class WithRetries(ModelEndpointSpec):
    retry_share: Annotated[float, Bounds(minimum=0, maximum=1)] = 0.2


def test_a_new_field_of_the_object_is_an_input_as_soon_as_it_is_written_for_pulumi(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_inputs, "ModelEndpointSpec", WithRetries)
    monkeypatch.setitem(ModelEndpointArgs.__annotations__, "retry_share", NotRequired[float])
    given: Any = {"platform": REF, "model_uri": "models:/fraud/7"}

    def spec(**more: float) -> Any:
        recording = record(lambda: ModelEndpoint("fraud", {**given, **more}))
        return recording.named("fraud-endpoint").inputs["spec"]

    assert (spec(retry_share=0)["retryShare"], spec()["retryShare"]) == (0, 0.2)

    def program() -> None:
        with pytest.raises(ArgsError, match="retry_share = 2, must be at most 1"):
            ModelEndpoint("fraud", {**given, "retry_share": 2})

    assert record(program).resources == {}


def test_an_output_where_the_value_must_be_known_is_told_by_its_place() -> None:
    def program() -> None:
        network = pulumi.Output.from_input("10.0.0.0/16")
        given: Any = {"egress": [{"cidr": network, "ports": [443]}], "volumes": {"a": {"claim": network}}}
        with pytest.raises(ArgsError) as caught:
            ModelEndpoint("fraud", {"platform": REF, "model_uri": "models:/fraud/7", **given})
        rule = "is an output, must be known before anything is made; write its value or read it from settings"
        assert caught.value.faults == (f"egress[0].cidr {rule}", f"volumes.a.claim {rule}")

    assert record(program).resources == {}


def in_words(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def plain(hint: Any) -> Any:
    """A type as JSON has it."""
    kind = shape(hint).kind
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is NotRequired:
        return plain(arguments[0])
    if origin in (list, tuple):
        return [plain(arguments[0])]
    if origin in (dict, Mapping) or typing.is_typeddict(kind) or is_dataclass(kind):
        return {}
    return str if isinstance(kind, type) and issubclass(kind, Enum) else kind
