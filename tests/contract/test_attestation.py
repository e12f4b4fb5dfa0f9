"""What one stack says to the next, as an in-toto Statement."""

import base64
import json
from typing import Any

import pytest
from attestations import IMAGE, attestation

from headrace.contract.attestation import Attestation, unverified
from headrace.contract.errors import InputError


def test_the_statement_is_about_the_images_digest() -> None:
    statement = attestation().statement()
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "registry.example/models/fraud", "digest": {"sha256": "a" * 64}}]
    assert statement["predicate"]["proof"]["protocols"] == ["invocations", "open-inference"]


@pytest.mark.parametrize("known", [attestation(), attestation(proof=None)], ids=["proven", "not yet"])
def test_a_statement_is_read_as_it_was_written(known: Attestation) -> None:
    assert Attestation.of_statement(json.loads(json.dumps(known.statement()))) == known


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_type": "other"}, "_type = 'other', must be"),
        ({"predicateType": "https://slsa.dev/provenance/v1"}, "predicateType = "),
        ({"predicate": {}}, "image is missing"),
        ({"subject": []}, f"must be the image of its predicate, {IMAGE}"),
        ({"subject": [{"name": "another", "digest": {"sha256": "b" * 64}}]}, "must be the image of its predicate"),
    ],
)
def test_a_statement_of_another_kind_or_about_another_image_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Attestation.of_statement({**attestation().statement(), **change})


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"payload": "?"}', json.dumps({"payload": base64.b64encode(b"x").decode()})]
)
def test_an_envelope_that_cannot_be_read_is_refused_with_where_one_comes_from(text: str) -> None:
    with pytest.raises(InputError, match="must be the envelope that a stack has as the output `evidence`"):
        unverified(text)


def test_an_image_without_a_digest_is_no_subject() -> None:
    with pytest.raises(InputError, match="an image pinned by digest"):
        Attestation.of_statement(attestation(image="registry.example/models/fraud:latest").statement())
