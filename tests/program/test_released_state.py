"""A stack that a released version made is updated by this one: nothing is replaced or removed, but what a note says.

`HEADRACE_RECORD_RELEASE=0.2.0 pytest tests/program/test_released_state.py` records what a release registers, once.
"""

import base64
import json
import os
import runpy
from pathlib import Path
from typing import Any

import pytest
from attestations import IMAGE, MODEL_URI, attestation
from stand_ins import FOUND, REF_OF_A_PLATFORM

from headrace.components import ModelEndpoint
from headrace.components.testing import Recording, record
from headrace.contract.attestation import PAYLOAD_TYPE

pytestmark = pytest.mark.usefixtures("stand_in_images")

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "recorded"
RELEASED = sorted(RECORDED.glob("released-*.json"))
CONFIG = {"headrace:registry": "registry.example/models", "headrace:host": "models.example"}
IMMUTABLE = {
    "Deployment": ("selector",),
    "Service": ("clusterIP",),
    "ClusterRoleBinding": ("roleRef",),
    "RoleBinding": ("roleRef",),
}
"""Fields that Kubernetes never changes in an object: other values replace it, and its pods or rights with it."""


def first_example() -> Recording:
    program = str(ROOT / "examples" / "01-one-model" / "__main__.py")
    return record(lambda: runpy.run_path(program), config=CONFIG, answers=FOUND)


def identities(recording: Recording) -> dict[str, Any]:
    """What decides, for each object that the program registered, whether an update keeps it: by URN."""
    return {
        urn: {
            "name": resource.inputs.get("metadata", {}).get("name"),
            "namespace": resource.inputs.get("metadata", {}).get("namespace"),
            **{
                field: resource.inputs.get(field, resource.inputs.get("spec", {}).get(field))
                for field in IMMUTABLE.get(resource.type.rpartition(":")[2], ())
            },
        }
        for urn, resource in recording.resources.items()
    }


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: path.stem)
def test_a_released_stack_keeps_its_objects(release: Path) -> None:
    recording = first_example()
    released, now = json.loads(release.read_text()), identities(recording)
    aliases = {alias.spec.name for resource in recording.resources.values() for alias in resource.request.aliases}
    noted = (ROOT / "docs" / "upgrading.md").read_text()

    lost = {urn.rpartition("::")[2] for urn, identity in released.items() if now.get(urn) != identity}

    assert released
    assert {name for name in lost - aliases if f"`{name}`" not in noted} == set()


@pytest.mark.skipif("HEADRACE_RECORD_RELEASE" not in os.environ, reason="no release is to be recorded")
def test_a_release_is_recorded() -> None:
    path = RECORDED / f"released-{os.environ['HEADRACE_RECORD_RELEASE']}.json"
    path.write_text(json.dumps(identities(first_example()), indent=1, sort_keys=True) + "\n")


def pinned(ref: Any) -> Any:
    """The pod template of an endpoint that serves the image of its evidence, on a platform."""

    def program() -> None:
        inputs = {"platform": ref, "model_uri": MODEL_URI, "evidence": json.dumps(envelope), "scale": {}}
        ModelEndpoint("fraud", inputs)

    statement = base64.b64encode(json.dumps(attestation().statement()).encode()).decode()
    envelope = {"payload": statement, "payloadType": PAYLOAD_TYPE, "signatures": []}
    return record(program).named("fraud-v7-deployment").inputs["spec"]["template"]


def test_another_platform_replaces_no_pod_of_an_endpoint_whose_image_is_pinned() -> None:
    before = {**REF_OF_A_PLATFORM, "autoscaler": True}
    upgraded = {
        **before,
        "url": "https://other.example",
        "image_delivery": {"kind": "registry", "repository": "elsewhere.example/models"},
        "image_base": {"kind": "debian", "revision": "of another day"},
        "architectures": ["amd64"],
        "table_writer": "tables.headrace-system.svc:8084",
    }

    assert pinned(upgraded) == pinned(before)
    assert pinned(before)["spec"]["containers"][0]["image"] == IMAGE
