"""A stack that a released version made is updated by this one: nothing is replaced or removed, but what a note says.

`HEADRACE_RECORD_RELEASE=0.2.0 pytest tests/program/test_released_state.py` records what a release registers, once.
"""

import json
import os
import runpy
from pathlib import Path
from typing import Any

import pytest
from stand_ins import FOUND

from headrace.components.testing import Recording, record

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
