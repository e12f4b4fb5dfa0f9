"""What a user of `pulumi up` reads of a version's proof, and how long that takes."""

import datetime
from typing import Any

import pytest

from headrace.components.endpoint.endpoint_attestation import proof_of
from headrace.components.endpoint.proof_report import MOMENTS_SECONDS, sentence, wait_seconds

NOW = datetime.datetime(2026, 1, 1, 12, 0, 30, tzinfo=datetime.UTC)
PLACE = "endpoint-fraud/fraud"
TOLD: dict[str, Any] = {
    "version": "v7",
    "image": "models@sha256:7",
    "time": "2026-01-01T00:00:00Z",
    "loadSeconds": 1.5,
    "memoryMib": 210,
    "hasExample": True,
    "protocols": ["invocations"],
}


def told(status: Any) -> str:
    proof = proof_of(status, version="v7", image="models@sha256:7")
    return sentence(proof, version="v7", place=PLACE)


def test_the_proof_of_the_version_is_told() -> None:
    former = {**TOLD, "image": "models@sha256:6"}

    assert told({"proofs": [former, TOLD]}) == (
        "Proven: v7 answers its input example alike over invocations. Loaded in 1.5 s, 210 MiB."
    )
    assert told({"proofs": [{**TOLD, "differences": ["invocations: other values"]}]}).startswith("Not proven: v7 ")


@pytest.mark.parametrize(
    "status", [None, {}, {"proofs": None}, {"proofs": [{**TOLD, "image": "models@sha256:6"}]}, {"proofs": [{}]}]
)
def test_where_no_pod_has_told_it_the_user_hears_where_it_will_be(status: Any) -> None:
    assert told(status) == (
        "v7 has told no proof yet: a pod tells it once it is ready "
        "(kubectl -n endpoint-fraud get modelendpoint fraud -o yaml)"
    )


@pytest.mark.parametrize(
    ("changed", "seconds"),
    [
        (["2026-01-01T12:00:30Z"], MOMENTS_SECONDS),
        (["2026-01-01T12:00:29Z"], MOMENTS_SECONDS - 1),
        (["2026-01-01T11:00:00Z", "2026-01-01T12:00:29Z"], MOMENTS_SECONDS - 1),
        (["2026-01-01T12:00:00Z"], 0.0),
        (["2026-01-01T13:00:00Z"], MOMENTS_SECONDS),
        (["", None, "soon"], 0.0),
        ([], 0.0),
    ],
    ids=["now", "a second ago", "several", "long ago", "by a clock that is ahead", "no times", "none"],
)
def test_only_a_deployment_that_has_just_changed_is_waited_for(changed: list[Any], seconds: float) -> None:
    assert wait_seconds({"conditions": [{"lastUpdateTime": time} for time in changed]}, NOW) == seconds


@pytest.mark.parametrize("status", [None, {}, {"conditions": None}, "unknown"])
def test_a_deployment_without_a_status_is_not_waited_for(status: Any) -> None:
    assert wait_seconds(status, NOW) == 0.0
