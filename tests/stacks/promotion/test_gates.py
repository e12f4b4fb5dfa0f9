"""What speaks against a version's going to a stack."""

import datetime
from typing import Any

import pytest
from attestations import IMAGE, attestation, proof

from headrace.contract.attestation import Attestation
from headrace.contract.errors import InputError
from headrace.stacks.promotion.gates import Gates, difference

NOW = datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)
LIVE = attestation(model_uri="models:/fraud/6", image=IMAGE.replace("a", "6"), proof=proof(call_milliseconds=30.0))


def against(candidate: Attestation, live: Attestation | None = None, **gates: Any) -> list[str]:
    return list(Gates(**gates).against(candidate, live, NOW))


def test_nothing_speaks_against_a_version_that_is_proven() -> None:
    assert against(attestation(), LIVE) == []


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        (attestation(proof=None), "no pod has told a proof yet"),
        (attestation(proof=proof(differences=("open-inference: other values",))), "it is not proven: open-inference"),
        (attestation(proof=proof(has_example=False, protocols=())), "it was asked for no prediction"),
        (attestation(proof=proof(time="2026-06-01T00:00:00Z")), "its proof is 183 days old, must be at most 90"),
        (attestation(proof=proof(call_milliseconds=61.0)), "takes 61 ms and the live version's 30, must be at most 2"),
    ],
)
def test_each_gate_says_what_is_wrong(candidate: Attestation, words: str) -> None:
    (fault,) = against(candidate, LIVE)
    assert words in fault


def test_all_that_is_wrong_is_told_at_once() -> None:
    bad = attestation(proof=proof(differences=("x",), has_example=False, time="2026-01-01T00:00:00Z"))
    assert len(against(bad)) == 3


@pytest.mark.parametrize(
    ("candidate", "live", "gates"),
    [
        (attestation(proof=proof(call_milliseconds=61.0)), LIVE, {"call_ratio_max": 3.0}),
        (attestation(proof=proof(call_milliseconds=61.0)), None, {}),
        (attestation(proof=proof(call_milliseconds=19.0)), attestation(proof=proof(call_milliseconds=1.0)), {}),
        (attestation(proof=proof(call_milliseconds=None)), LIVE, {}),
        (attestation(proof=proof(has_example=False)), LIVE, {"require_example": False}),
    ],
    ids=["a higher ratio", "nothing is live", "too short to compare", "not measured", "no example is asked for"],
)
def test_what_a_stack_does_not_ask_speaks_against_nothing(
    candidate: Attestation, live: Attestation | None, gates: dict[str, Any]
) -> None:
    assert against(candidate, live, **gates) == []


def test_the_same_image_is_no_difference() -> None:
    assert difference(attestation(), attestation(proof=None)) == {}


def test_a_difference_names_what_was_and_what_comes() -> None:
    assert difference(attestation(), LIVE)["model"] == ("models:/fraud/6", "models:/fraud/7")
    assert difference(attestation(), None)["image"] == ("", IMAGE)


def test_a_setting_with_faults_is_refused_with_all_of_them() -> None:
    with pytest.raises(InputError) as caught:
        Gates.of_setting({"trusted_key": [], "call_ratio_max": 0.5})
    assert len(caught.value.faults) == 2
