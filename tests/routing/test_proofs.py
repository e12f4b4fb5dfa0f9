"""What a ModelEndpoint says of the proofs of its versions."""

from typing import Any

import pytest

from headrace.contract.codec import decode, encode
from headrace.contract.declaration import Style
from headrace.contract.evidence import Proof
from headrace.contract.model_endpoint import PROVEN, ModelEndpointSpec, ModelEndpointStatus, ServedVersion
from headrace.routing.ads.proofs import Version, kept, proof_in
from headrace.routing.ads.status import endpoint_status
from headrace.routing.snapshot import Endpoint

NOW = "2026-01-01T00:00:00Z"


def proof(version: str = "v1", **changed: Any) -> Proof:
    told = {
        "version": version,
        "image": f"models@sha256:{version}",
        "time": NOW,
        "load_seconds": 1.25,
        "memory_mib": 210.0,
        "has_example": True,
        "call_milliseconds": 3.1,
        "protocols": ("invocations", "Open Inference REST", "Open Inference gRPC"),
        **changed,
    }
    return Proof(**told)


def written(*found: Proof) -> list[Any]:
    return [encode(each, Style.KUBERNETES) for each in found]


def endpoint(*names: str) -> Endpoint:
    versions = tuple(
        ServedVersion(name=name, model_uri="m", image=f"models@sha256:{name}", weight=100 // len(names))
        for name in names
    )
    return Endpoint(name="fraud", spec=ModelEndpointSpec(versions=versions))


def status(*names: str, ready: int = 1, pods: Any = (), before: Any = None, **proofs: Proof) -> dict[str, Any]:
    item = {"metadata": {"name": "fraud", "namespace": "endpoint-fraud"}, "status": before or {}}
    made = endpoint_status(
        item,
        endpoint=endpoint(*names),
        faults=(),
        ready=dict.fromkeys(names, ready),
        pods=pods,
        proofs=proofs,
        now=NOW,
    )
    assert encode(decode(ModelEndpointStatus, made, Style.KUBERNETES), Style.KUBERNETES) == made, "as declared"
    return made


def proven(made: dict[str, Any]) -> tuple[str, str, str] | None:
    found = [condition for condition in made["conditions"] if condition["type"] == PROVEN.name]
    return (found[0]["status"], found[0]["reason"], found[0]["message"]) if found else None


def test_a_version_whose_protocols_agree_is_proven_with_its_evidence() -> None:
    made = status("v1", v1=proof())

    assert proven(made) == (
        "True",
        "ExampleAnswered",
        "Version v1 answers its input example alike over invocations, Open Inference REST and Open Inference gRPC. "
        "Loaded in 1.2 s, 210 MiB; first call 3.1 ms.",
    )
    [evidence] = made["proofs"]
    assert (evidence["version"], evidence["image"]) == ("v1", "models@sha256:v1")
    assert (evidence["loadSeconds"], evidence["callMilliseconds"], evidence["memoryMib"]) == (1.25, 3.1, 210.0)


def test_protocols_that_differ_are_said_and_the_version_stays_ready() -> None:
    made = status("v1", v1=proof(differences=("Open Inference gRPC: output score has other values",)))

    assert made["conditions"][0]["status"] == "True"
    found = proven(made)
    assert found is not None
    assert found[:2] == ("False", "ProtocolsDiffer")
    assert "Open Inference gRPC: output score has other values" in found[2]


def test_a_model_without_an_example_is_proven_to_load_and_the_condition_says_no_more() -> None:
    made = status("v1", v1=proof(has_example=False, protocols=(), call_milliseconds=None, not_asked="no example"))

    found = proven(made)
    assert found is not None
    assert found[:2] == ("True", "NoExample")
    assert "no prediction was tried (no example)" in found[2]


def test_nothing_is_said_before_every_version_has_told_something() -> None:
    assert proven(status("v1")) is None
    assert proven(status("v1", "v2", v1=proof())) is None
    found = proven(status("v1", "v2", v1=proof(), v2=proof("v2", has_example=False)))
    assert found is not None
    assert found[:2] == ("True", "NoExample")
    differing = proof(differences=("invocations: another answer than the prediction",))
    against = proven(status("v1", "v2", v1=differing))
    assert against is not None
    assert against[0] == "False", "what speaks against a version need not wait for the others"


def test_an_example_that_fails_is_the_reason_of_the_pod_that_does_not_start() -> None:
    said = "the model fails on its own input example: no column a"
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "message": said}}
    pod = {
        "metadata": {"name": "p", "labels": {"serving.headrace.dev/version": "v1"}},
        "status": {"containerStatuses": [{"name": "model", "state": {}, "lastState": ended}]},
    }

    assert proven(status("v1", ready=0, pods=[pod])) == ("False", "ModelLoadFailed", f"Version v1, pod p: {said}")
    after = proven(status("v1", ready=0, pods=[pod], v1=proof()))
    assert after is not None
    assert after[0] == "True", "a pod that ends later takes nothing back of what was proven"


def test_the_proof_of_a_version_that_is_gone_or_has_another_image_is_not_kept() -> None:
    versions = [Version("endpoint-fraud", "v1", "models@sha256:v1")]
    item = {"status": {"proofs": written(proof("v0"), proof())}}

    assert kept(item, versions) == {"v1": proof()}
    assert kept(item, [versions[0]._replace(image="models@sha256:other")]) == {}
    assert kept({}, versions) == {}
    assert status("v1", before=item["status"])["proofs"] == [], "and is taken out of the status"


@pytest.mark.parametrize(
    "changed",
    [
        {"image": "models@sha256:other"},
        {"version": "v2"},
        {"time": "soon"},
        {"time": "2026-01-01"},
        {"notAsked": "a\x1b[31mb"},
        {"loadSeconds": -1},
        {"loadSeconds": "Infinity"},
        {"memoryMib": "NaN"},
        {"loadSeconds": None},
        {"protocols": ["x" * 2000]},
        {"differences": ["x"] * 100},
        {"notAsked": "x" * 2000},
        {"hasExample": "yes"},
    ],
    ids=str,
)
def test_a_stranger_that_answers_in_place_of_a_pod_is_not_believed(changed: dict[str, Any]) -> None:
    version = Version("endpoint-fraud", "v1", "models@sha256:v1")
    [told] = written(proof())

    assert proof_in(told, version) == proof()
    assert proof_in({**told, **changed}, version) is None


@pytest.mark.parametrize("told", [None, [], "text", 1, {}])
def test_what_is_no_proof_is_none(told: Any) -> None:
    assert proof_in(told, Version("endpoint-fraud", "v1", "models@sha256:v1")) is None
