"""Passwords and tokens in what a model's author wrote: they go to the resolver, and nowhere else.

A requirement line may hold one, for a package index or a repository. It is replaced by the name of a variable before
the line gets into Pulumi's state, a log, a lock or an image, and the resolver is given the variable.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import unquote

PLACEHOLDER: Final = re.compile(r"\$\{(HEADRACE_CREDENTIAL_[0-9A-Z_]+)\}")
VARIABLE: Final = re.compile(r"\$\{([A-Z0-9_]+)\}")
"""As pip has it: capital letters only."""

_USER: Final = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]*://)(?P<secret>[^/\s@'\"]+(?:@[^/\s@'\"]+)*)(?=@)", re.IGNORECASE
)
_PARAMETER: Final = re.compile(
    r"(?P<before>[?&](?:sig|[a-z_-]*token|password|passwd|secret|[a-z_-]*key|[a-z_-]*credential|[a-z_-]*signature)=)"
    r"(?P<secret>[^&\s#'\"]+)",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(r"(?P<before>\bhttps?://[^/\s]+/t/)(?P<secret>[^/\s]+)", re.IGNORECASE)
"""In addresses of conda's channels."""
_PATTERNS: Final = (_USER, _PARAMETER, _TOKEN)
_SHORTEST: Final = 3
"""Of what is taken out of a log: of shorter texts every other word would be."""
_REDACTED: Final = "****"
_PLACES: Final = re.compile(r"^(?:UV|PIP)_(?:[A-Z]+_)*(?:INDEX|INDEX_URL|FIND_LINKS)$")
_PASSWORDS: Final = re.compile(r"^UV_INDEX_[A-Z0-9_]+_PASSWORD$")


def hide(lines: Iterable[str], *, name: str = "") -> tuple[tuple[str, ...], dict[str, str]]:
    """The lines with a variable in place of each credential, and the variables' values.

    They are numbered from the first line on, with `name` before the number where several files have some.
    """
    found: dict[str, str] = {}

    def replaced(match: re.Match[str]) -> str:
        if not _is_secret(match):
            return match[0]
        variable = found.setdefault(match["secret"], f"HEADRACE_CREDENTIAL_{name}{len(found) + 1}")
        return f"{match['before']}${{{variable}}}"

    hidden = tuple(_replaced(line, replaced) for line in lines)
    return hidden, {variable: secret for secret, variable in found.items()}


def redact(text: str) -> str:
    """The text with **** in place of each credential."""

    def replaced(match: re.Match[str]) -> str:
        return f"{match['before']}{_REDACTED}" if _is_secret(match) else match[0]

    return _replaced(text, replaced)


def secrets(lines: Iterable[str], values: Mapping[str, str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """What no log may hold, the longest first: the values of placeholders, those of this process's variables that the
    lines name, and the passwords of indexes that variables name, this process's and those set besides."""
    asked = {name for line in lines for name in VARIABLE.findall(line)}
    found = [*values.values(), *(os.environ.get(name, "") for name in asked)]
    for name, value in (*os.environ.items(), *variables.items()):
        if _PASSWORDS.match(name):
            found.append(value)
        elif _PLACES.match(name):
            found += [match["secret"] for pattern in _PATTERNS for match in pattern.finditer(value)]
    parts = {part for value in found for part in (value, value.partition(":")[2])}
    both = {form for part in parts for form in (part, unquote(part))}
    return tuple(sorted((text for text in both if len(text) >= _SHORTEST), key=len, reverse=True))


def scrub(text: str, hidden: Iterable[str]) -> str:
    """The text without what is `hidden`, the longest first."""
    for secret in hidden:
        text = text.replace(secret, _REDACTED)
    return text


def _replaced(text: str, by: Callable[[re.Match[str]], str]) -> str:
    for pattern in _PATTERNS:
        text = pattern.sub(by, text)
    return text


def _is_secret(match: re.Match[str]) -> bool:
    """Whether it is more than names of variables and the user that `git` names on every host."""
    left = VARIABLE.sub("", match["secret"])
    user, colon, password = left.partition(":")
    if not password and (user == "git" or match["before"].lower().startswith(("git+ssh", "ssh"))):
        return False
    if colon or not VARIABLE.search(match["secret"]):
        return bool(password if colon else user)
    return bool(user)
