"""An endpoint takes the image of evidence, and says what the next stack needs."""

from pathlib import Path
from typing import Any

import pulumi
import pytest
from attestations import attestation, proof
from stand_ins import DELIVERY, FOUND, IMAGE, resolve

from headrace.components import ModelEndpoint, require_servable
from headrace.components.endpoint import model_source
from headrace.components.endpoint.endpoint_attestation import attested_image, proof_of
from headrace.components.kubernetes.checks import ArgsError
from headrace.components.testing import Recording, record
from headrace.contract.codec import encode
from headrace.contract.declaration import Style
from headrace.contract.errors import InputError
from headrace.stacks.promotion.envelope import new_key, signed

pytestmark = pytest.mark.usefixtures("stand_in_images")

ELSEWHERE = "registry.example/models/fraud@sha256:" + "e" * 64


@pytest.fixture
def sign(tmp_path: Path) -> Any:
    """Signs what a stack before says of version 7."""
    (tmp_path / "key.pem").write_text(new_key().private)
    return lambda **changes: signed(attestation(**{"image": ELSEWHERE, **changes}), f"file:{tmp_path}/key.pem")


def made(**inputs: Any) -> Recording:
    platform = {"namespace": "n", "url": "https://models.example", "image_delivery": DELIVERY, "image_base": {}}

    def program() -> None:
        endpoint = ModelEndpoint("fraud", {"platform": platform, "model_uri": "models:/fraud/7", **inputs})  # type: ignore[typeddict-item]
        pulumi.export("evidence", endpoint.evidence)

    return record(program, answers=FOUND)


def endpoint_object(recording: Recording) -> Any:
    return recording.named("fraud-endpoint").inputs


def test_the_image_of_the_evidence_serves_and_the_object_carries_it(sign: Any) -> None:
    envelope = sign()
    found = endpoint_object(made(evidence=envelope))
    assert found["spec"]["versions"][0]["image"] == ELSEWHERE
    assert found["metadata"]["annotations"]["serving.headrace.dev/evidence"] == envelope


def test_evidence_may_come_from_a_stack_reference(sign: Any) -> None:
    found = endpoint_object(made(evidence=pulumi.Output.from_input(sign())))
    assert found["spec"]["versions"][0]["image"] == ELSEWHERE


def test_without_evidence_the_object_has_no_annotation_and_the_built_image() -> None:
    found = endpoint_object(made())
    assert found["spec"]["versions"][0]["image"] == IMAGE
    assert "annotations" not in found["metadata"]


def test_evidence_about_another_content_is_refused(sign: Any) -> None:
    with pytest.raises(InputError, match="promote that version"):
        attested_image(sign(model_identity="something else"), resolve("models:/fraud/7"))  # type: ignore[arg-type]


def test_a_program_is_told_before_anything_is_made(sign: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_source, "resolve_all", lambda asked: {each: resolve(*each) for each in asked})
    inputs = {"model_uri": "models:/fraud/7", "evidence": sign(model_identity="something else")}
    with pytest.raises(ArgsError, match="fraud: evidence: it is about models:/fraud/7"):
        require_servable({"fraud": inputs})


def test_an_endpoint_says_what_the_next_stack_needs() -> None:
    facts = made().exports["evidence"]
    assert (facts["model_uri"], facts["image"], facts["stack"]) == ("models:/fraud/7", IMAGE, "test")


def test_a_proof_of_another_image_is_not_the_versions() -> None:
    told = encode(proof(image=ELSEWHERE), Style.KUBERNETES)
    assert proof_of({"proofs": [told]}, version="v7", image=ELSEWHERE) == proof(image=ELSEWHERE)
    assert proof_of({"proofs": [told]}, version="v7", image=IMAGE) is None
