"""The Python program of converted endpoints, laid out as `ruff format` lays it out. Pure.

What did not map stands as a comment where it would be, and so does what maps to something else.
"""

import keyword
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from headrace.stacks.conversion.endpoint_draft import EndpointDraft, Setting
from headrace.stacks.conversion.source_document import Outcome, Path, told

_WIDTH: Final = 88
"""Columns that ruff allows where nobody tells it otherwise."""
_TAKEN: Final = frozenset(("config", "platform", "pulumi", "ModelEndpoint"))
_HEAD: Final = '''"""{described}

Written by `headrace convert`, and yours from now on. Comments say what the source had that is not here.
"""

import pulumi

from headrace.components import ModelEndpoint

config = pulumi.Config()
stack = pulumi.StackReference(config.require("platform_stack"))
platform = stack.require_output("platform")
'''


def program(drafts: Sequence[EndpointDraft]) -> str:
    """The text of a `__main__.py` with these endpoints on the platform of another stack."""
    described = ", ".join(draft.described for draft in drafts)
    head = _HEAD.format(described=_docstring(f"Serves what was {described}."))
    variables = _variables([draft.name for draft in drafts])
    made = ["\n".join(_endpoint(draft, variable)) for draft, variable in zip(drafts, variables, strict=True)]
    urls = [f"        {_text(draft.name)}: {name}.url," for draft, name in zip(drafts, variables, strict=True)]
    exports = "\n".join(["pulumi.export(", '    "urls",', "    {", *urls, "    },", ")"])
    return "\n".join([head, *made, "", exports, ""])


def _variables(names: Sequence[str]) -> list[str]:
    """One for each endpoint, which no other word of the program is."""
    found: list[str] = []
    for name in names:
        word = re.sub(r"\W", "_", name)
        free = word.isidentifier() and not keyword.iskeyword(word) and word not in {*_TAKEN, *found, "stack"}
        found.append(word if free else f"endpoint_{len(found) + 1}_{word}")
    return found


def _endpoint(draft: EndpointDraft, variable: str) -> Iterator[str]:
    comments = _comments(draft)
    yield from _commented(comments.pop((), ()), "")
    yield f"{variable} = ModelEndpoint("
    yield f"    {_text(draft.name)},"
    yield "    {"
    yield '        "platform": platform,'
    for key, value in draft.ordered().items():
        yield from _entry(f"{_text(key)}: ", value, (key,), " " * 8, comments)
    yield "    },"
    yield ")"


def _entry(key: str, value: Any, path: Path, indent: str, comments: dict[Path, list[str]]) -> Iterator[str]:
    """One entry of a mapping, or an item of a list where `key` is empty: on one line where nothing within it is
    commented and it is short."""
    yield from _commented(comments.pop(path, ()), indent)
    if isinstance(value, Setting):
        flag = "--secret " if value.secret else ""
        yield from _commented([f"To be set: pulumi config set {flag}{value.key}"], indent)
    commented = any(place[: len(path)] == path for place in comments) or _has_setting(value)
    line = f"{indent}{key}{_inline(value)},"
    if not isinstance(value, dict | list) or not value or (len(line) <= _WIDTH and not commented):
        yield line
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield f"{indent}{key}{opening}"
    inner = f"{indent}    "
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in entries:
        label = f"{_text(name)}: " if isinstance(name, str) else ""
        yield from _entry(label, item, (*path, name), inner, comments)
    yield f"{indent}{closing},"


def _has_setting(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(isinstance(item, Setting) or _has_setting(item) for item in inner)


def _inline(value: Any) -> str:
    if isinstance(value, Setting):
        return f"config.require{'_secret' if value.secret else ''}({_text(value.key)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)}: {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    """A literal in the quotes that ruff prefers: double ones unless single ones spare backslashes."""
    written = repr(value)
    if written[0] == "'" and value.count('"') <= value.count("'"):
        inner = written[1:-1].replace("\\'", "'").replace('"', '\\"')
        return f'"{inner}"'
    return written


def _comments(draft: EndpointDraft) -> dict[Path, list[str]]:
    """By the input that they stand before, which the program has; at the endpoint where it has none that is near."""
    alike: dict[tuple[Path, Outcome, str], list[str]] = {}
    for finding in draft.findings:
        if finding.reason and finding.outcome is not Outcome.IGNORED:
            near = finding.target
            while near and not _has(draft.inputs, near):
                near = near[:-1]
            alike.setdefault((near, finding.outcome, finding.reason), []).append(told(finding.place))
    found: dict[Path, list[str]] = {}
    for (near, outcome, reason), places in alike.items():
        start = "From" if outcome is Outcome.MAPPED else "Not mapped:"
        found.setdefault(near, []).append(f"{start} {', '.join(places)}: {reason}.")
    return found


def _commented(sentences: Sequence[str], indent: str) -> Iterator[str]:
    for sentence in dict.fromkeys(sentences):
        shown = "".join(letter if letter.isprintable() else "?" for letter in sentence)
        yield from textwrap.wrap(
            shown, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip


def _docstring(text: str) -> str:
    """Within three double quotes, in lines."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    safe = shown.replace("\\", "/").replace('"', "'")
    return "\n".join(textwrap.wrap(safe, _WIDTH - 3, break_long_words=False, break_on_hyphens=False))


def _has(inputs: Any, path: Path) -> bool:
    for step in path:
        if isinstance(step, int):
            if not isinstance(inputs, list) or step >= len(inputs):
                return False
        elif not isinstance(inputs, Mapping) or step not in inputs:
            return False
        inputs = inputs[step]
    return True
