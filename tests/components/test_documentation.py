"""docs/components.md and docs/settings.md hold, word for word, what the code says of its inputs and outputs.

Run with HEADRACE_UPDATE_DOCS=1 to write their reference parts anew.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "components" / "schema.json").read_text())
PROJECT = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
MARK = "<!-- reference: written by tests/components/test_documentation.py -->\n"


def components_reference() -> Iterator[str]:
    for token, resource in sorted(SCHEMA["resources"].items()):
        yield f"\n### {token.rsplit(':', 1)[-1]}\n\n{_sentence(resource)}\n"
        yield from _table("input", resource.get("inputProperties", {}), resource.get("requiredInputs", []))
        yield from _table("output", resource.get("properties", {}), None)
    for token, shape in sorted(SCHEMA["types"].items()):
        yield f"\n### {token.rsplit(':', 1)[-1]}\n\n{_sentence(shape)}\n"
        if "enum" in shape:
            yield "\n| value | meaning |\n|---|---|\n"
            yield from (f"| `{value['value']}` | {_sentence(value)} |\n" for value in shape["enum"])
        else:
            yield from _table("field", shape.get("properties", {}), shape.get("required", []))


def settings_reference() -> Iterator[str]:
    yield "\n| setting | type | default | meaning |\n|---|---|---|---|\n"
    for key, entry in PROJECT["config"].items():
        default = json.dumps(entry["default"])
        yield f"| `{key}` | {entry.get('type', 'object or list')} | `{default}` | {entry['description'].strip()} |\n"


PAGES = {"components.md": components_reference, "settings.md": settings_reference}


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_says_what_the_code_says(page: str) -> None:
    path = ROOT / "docs" / page
    written, found, reference = path.read_text().partition(MARK)
    expected = "".join(PAGES[page]())
    if os.environ.get("HEADRACE_UPDATE_DOCS"):
        path.write_text(written + MARK + expected)
        return

    assert found
    assert reference == expected


def _table(head: str, properties: dict[str, Any], required: list[str] | None) -> Iterator[str]:
    if not properties:
        return
    column = " | required" if required is not None else ""
    yield f"\n| {head} | type{column} | meaning |\n|---|---|---|{'---|' if column else ''}\n"
    for name, definition in sorted(properties.items(), key=lambda item: (item[0] not in (required or []), item[0])):
        needed = "" if required is None else f" {'yes' if name in required else ''} |"
        yield f"| `{_snake(name)}` | {_type(definition)} |{needed} {_sentence(definition)} |\n"


def _type(definition: dict[str, Any]) -> str:
    if "$ref" in definition:
        return str(definition["$ref"].rsplit(":", 1)[-1].removeprefix("pulumi.json#/"))
    if definition["type"] == "array":
        return f"list of {_type(definition['items'])}"
    if definition["type"] == "object":
        return f"mapping to {_type(definition['additionalProperties'])}"
    return str(definition["type"])


def _sentence(definition: dict[str, Any]) -> str:
    return re.sub(r"\s+", " ", definition.get("description", "")).strip()


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
