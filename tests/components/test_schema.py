"""The package as other languages see it. Run with HEADRACE_UPDATE_SCHEMA=1 to accept a change."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pulumi.provider.experimental.component import ComponentProvider

from headrace import components
from headrace.components.kubernetes import manifests

GOLDEN = Path(__file__).parents[2] / "components" / "schema.json"


@pytest.fixture(scope="module")
def schema() -> Any:
    hosted = [getattr(components, name) for name in components.COMPONENTS]
    return json.loads(ComponentProvider(hosted, "headrace", None, "0.0.0").schema)


def leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """The tree's values by their paths: a difference is then named by the place where it is."""
    if not isinstance(tree, dict):
        return {path: tree}
    return {place: leaf for key, branch in tree.items() for place, leaf in leaves(branch, f"{path}/{key}").items()}


def test_the_schema_is_the_one_that_was_released(schema: Any) -> None:
    """A removed input or a changed type breaks programs in other languages: on purpose or not at all."""
    text = json.dumps(schema, indent=1, sort_keys=True) + "\n"
    if os.environ.get("HEADRACE_UPDATE_SCHEMA"):
        GOLDEN.write_text(text)

    assert leaves(json.loads(GOLDEN.read_text())) == leaves(schema)


def test_every_input_and_output_says_what_it_is(schema: Any) -> None:
    """Docstrings of fields are the API reference in every language."""
    silent = [
        f"{token}.{field}"
        for section in ("resources", "types")
        for token, entry in schema[section].items()
        for properties in ("properties", "inputProperties")
        for field, definition in entry.get(properties, {}).items()
        if not definition.get("description")
    ]

    assert silent == []


def test_the_words_for_replicas_tell_their_default(schema: Any) -> None:
    resources = schema["resources"].values()
    words = [entry["inputProperties"].get("replicas", {}).get("description") for entry in resources]

    assert [told for told in words if told and f"Default {manifests.REPLICAS}," not in told] == []
    assert sum(told is not None for told in words) >= 5


def test_the_front_door_asks_for_a_platform_only_and_the_model_is_one_or_several(schema: Any) -> None:
    resources = schema["resources"]

    assert resources["headrace:index:ModelEndpoint"]["requiredInputs"] == ["platform"]
    assert resources["headrace:index:ServingPlatform"].get("requiredInputs", []) == []
    assert resources["headrace:index:ServingCluster"].get("requiredInputs", []) == []
