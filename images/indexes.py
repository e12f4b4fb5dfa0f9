"""Where packages are found: what the requirements name, over what this machine is set to, as pip has it.

uv and pip disagree on which of the two counts, and uv reads nothing that is set for pip.
"""

import configparser
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from headrace.images.credentials import VARIABLE
from headrace.images.requirements import Requirements, is_inside

_STRATEGY: Final = "UV_INDEX_STRATEGY"
_PIP: Final = {
    "index-url": (("UV_DEFAULT_INDEX", "UV_INDEX_URL"), ("index", "index-url"), " "),
    "extra-index-url": (("UV_EXTRA_INDEX_URL", "UV_INDEX"), ("index", "extra-index-url"), " "),
    "find-links": (("UV_FIND_LINKS",), ("find-links",), ","),
    "trusted-host": (("UV_INSECURE_HOST",), ("allow-insecure-host",), " "),
}
"""pip's setting; uv's variables and settings of the same meaning: the first variable is set unless one of them is; what
parts a list."""


def variables(wanted: Requirements, values: Mapping[str, str]) -> dict[str, str]:
    """What uv is to find in its environment, beside what is there; `values` are variables of the requirements."""
    settings = _uv_settings()
    found = {**_of_pip(settings), **values}
    # the best version of all indexes, as pip has it; `first-index` is the user's choice
    if not os.environ.get(_STRATEGY) and "index-strategy" not in settings:
        found[_STRATEGY] = "unsafe-best-match"
    if wanted.index_urls:
        found |= dict.fromkeys(("UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"), "")
        found["UV_DEFAULT_INDEX"] = expanded(wanted.index_urls[-1], values)
    found |= {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND") or "ssh -oBatchMode=yes"}
    return found


def is_closed() -> bool:
    """Whether this machine is set to ask no index, only the folders that it is told: pip's `no-index`."""
    return _setting("no-index", _pip_files()).lower() in {"1", "on", "true", "yes"}


def expanded(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of the variables that it names, in the form of pip: `${NAME}`."""
    known = {**os.environ, **values}
    return VARIABLE.sub(lambda match: known.get(match[1], match[0]), text)


def missing_variables(wanted: Requirements, values: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that the requirements name and that is not set."""
    texts = [(text, "requirements") for text in (*wanted.index_urls, *wanted.extra_index_urls, *wanted.find_links)]
    texts += [(package.text, package.place) for package in (*wanted.packages, *wanted.constraints)]
    known = {**os.environ, **values}
    return [
        f"{place}: {text} names the variable {name}, which is not set on this machine; set it and run again"
        for text, place in texts
        for name in VARIABLE.findall(text)
        if name not in known
    ]


def existing(places: list[str], folder: Path, values: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Of `--find-links`, those that can be looked into, and those that cannot, which pip ignores too; `folder` has the
    model's files."""
    there: list[str] = []
    gone: list[str] = []
    for place in places:
        path = folder / place if is_inside(place) else Path(expanded(place, values)).expanduser()
        if "://" in place or place.startswith("file:"):
            there.append(place)
        elif path.exists():
            there.append(str(path) if is_inside(place) else place)
        else:
            gone.append(place)
    return there, gone


def _uv_settings() -> set[str]:
    """Names of what uv's configuration files set, which count less than variables and must not be overruled."""
    own = os.environ.get("UV_CONFIG_FILE")
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv" / "uv.toml"
    found: set[str] = set()
    for file in [Path(own)] if own else [home, Path("/etc/uv/uv.toml")]:
        try:
            value = tomllib.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            continue  # uv says what is wrong with it
        found |= {*value, *value.get("pip", {})}
    return set() if os.environ.get("UV_NO_CONFIG") else found


def _of_pip(uv_settings: set[str]) -> dict[str, str]:
    """pip's variables and files, where uv is not set otherwise."""
    found = {}
    files = _pip_files()
    for name, (names, settings, separator) in _PIP.items():
        value = _setting(name, files).split()
        if name == "find-links":
            value = [place for place in value if "://" in place or Path(place).expanduser().exists()]
        if value and not uv_settings.intersection(settings) and not any(map(os.environ.get, names)):
            found[names[0]] = separator.join(value)
    return found


def _setting(name: str, files: Mapping[str, str]) -> str:
    return os.environ.get(f"PIP_{name.upper().replace('-', '_')}", files.get(name, ""))


def _pip_files() -> dict[str, str]:
    """Settings in pip's configuration files, later ones over earlier ones."""
    own = os.environ.get("PIP_CONFIG_FILE")
    home = Path.home()
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", settings / "pip" / "pip.conf"]
    if own == os.devnull:
        return {}
    parser = configparser.RawConfigParser()
    try:
        parser.read([*files, *([Path(own)] if own else [])], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return {}  # pip says what is wrong with it
    sections = (parser[name] for name in ("global", "install") if parser.has_section(name))
    return {name.replace("_", "-"): value for section in sections for name, value in section.items()}
