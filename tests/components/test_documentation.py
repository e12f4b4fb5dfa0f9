"""docs/components.md, docs/settings.md and docs/reference hold, word for word, what the code says of its inputs.

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

from headrace.local.sdk import Language, Names, describe
from headrace.local.terminal_progress import Progress

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


LANGUAGES = {"typescript": "TypeScript", "go": "Go", "yaml": "YAML"}


def language_reference(names: Names) -> Iterator[str]:
    """One language's names and types, with the schema's words: no SDK is read, since Pulumi's generator tells both."""
    words = {
        _snake(schema_name): name
        for shapes in names.values()
        for shape in shapes.values()
        for schema_name, (name, _) in shape.items()
    }

    def meaning(definition: dict[str, Any]) -> str:
        return re.sub(r"`(\w+)`", lambda found: f"`{words.get(found[1], found[1])}`", _sentence(definition))

    def table(head: str, shape: dict[str, tuple[str, str]], properties: dict[str, Any], needed: list[str]) -> str:
        if not properties:
            return ""
        column = "" if head == "output" else " required |"
        rows = [f"\n| {head} | type |{column} meaning |\n|---|---|{'---|' if column else ''}---|\n"]
        for key in sorted(properties, key=lambda key: (key not in needed, key)):
            name, kind = shape[key]
            is_needed = f" {'yes' if key in needed else ''} |" if column else ""
            rows.append(f"| `{name}` | `{kind}` |{is_needed} {meaning(properties[key])} |\n")
        return "".join(rows)

    for token, resource in sorted(SCHEMA["resources"].items()):
        yield f"\n### {token.rsplit(':', 1)[-1]}\n\n{meaning(resource)}\n"
        inputs, needed = resource.get("inputProperties", {}), resource.get("requiredInputs", [])
        yield table("input", names["inputs"][token], inputs, needed)
        yield table("output", names["outputs"][token], resource.get("properties", {}), [])
    for token, shape in sorted(SCHEMA["types"].items()):
        yield f"\n### {token.rsplit(':', 1)[-1]}\n\n{meaning(shape)}\n"
        if "enum" in shape:
            yield "\n| value | meaning |\n|---|---|\n"
            yield from (f'| `"{value["value"]}"` | {meaning(value)} |\n' for value in shape["enum"])
        else:
            yield table("field", names["fields"][token], shape.get("properties", {}), shape.get("required", []))


def _names(language: str) -> Names:
    """YAML has the schema's own names and kinds of values; nobody generates anything for it."""
    if language != "yaml":
        return describe(Language(language), Progress("test", steps=1, stream=Path(os.devnull).open("w")))
    sections = (("inputs", "resources", "inputProperties"), ("outputs", "resources", "properties"))
    return {
        section: {
            token: {name: (name, _type(definition)) for name, definition in entry.get(properties, {}).items()}
            for token, entry in SCHEMA[kind].items()
        }
        for section, kind, properties in (*sections, ("fields", "types", "properties"))
    }


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reference_of_a_language_has_its_names_and_types(language: str) -> None:
    path = ROOT / "docs" / "reference" / f"{language}.md"
    expected = "".join(language_reference(_names(language)))
    written, found, reference = path.read_text().partition(MARK)
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
