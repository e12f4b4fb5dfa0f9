"""Requirements files as pip reads them: every line and option is understood, or refused by its name.

What uv reads of the same format is less, and some of it without effect: a hash of a requirement is not compared when it
resolves, and `--index-url` counts less than a variable of the machine.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from packaging.utils import canonicalize_name, parse_wheel_filename

from headrace.contract.errors import InputError

REQUIREMENTS: Final = "requirements.txt"
CONSTRAINTS: Final = "constraints.txt"
ARCHIVES: Final = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")

_COMMENT: Final = re.compile(r"(^|\s+)#.*$")
_OPTION: Final = re.compile(r"(?:^|\s)(-.*)$")
_HASH: Final = re.compile(r"(sha256|sha384|sha512):[0-9a-f]+")
_URL_HASH: Final = re.compile(r"(?<=[#&])(sha256|sha384|sha512)=([0-9a-f]+)&?")
_NAME: Final = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*(@\s*\S|[<>=!~;(,]|$)")
_SHORT: Final = {
    "-i": "--index-url",
    "--pypi-url": "--index-url",
    "-f": "--find-links",
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-C": "--config-settings",
    "--config-setting": "--config-settings",
}
_FLAGS: Final = ("--no-index", "--prefer-binary", "--require-hashes", "--pre")
_WITH_VALUE: Final = ("--index-url", "--extra-index-url", "--find-links", "--trusted-host", "--no-binary")
_WITH_VALUE_TOO: Final = ("--only-binary", "--requirement", "--constraint", "--editable")
_OF_ONE: Final = ("--hash", "--config-settings")
"""Options of one requirement, in its line."""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One package that is asked for."""

    text: str
    """As uv reads it, without options and without the hash in a URL."""
    place: str
    """Where it is written, for example `requirements.txt line 3`."""
    name: str = ""
    """Normalized; empty where only building the package tells."""
    path: str = ""
    """Of its file or folder: relative to the model's directory, or on the machine that builds; empty for others."""
    hashes: tuple[str, ...] = ()
    """`sha256:…`: the package's file must have one of them."""
    settings: tuple[str, ...] = ()
    """`key=value` for the program that builds it."""


@dataclass(kw_only=True)
class Requirements:
    """A requirements file with all that it includes."""

    packages: list[Requirement] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    index_urls: list[str] = field(default_factory=list)
    """`--index-url`, of which pip takes the last."""
    extra_index_urls: list[str] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    no_index: bool = False
    trusted_hosts: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    """`--no-binary …` and `--only-binary …`, in their order."""
    prefer_binary: bool = False
    prereleases: bool = False
    require_hashes: bool = False
    files: list[str] = field(default_factory=list)
    """Files of the model that are named and may hold more lines: those of `-r` and `-c`."""

    @property
    def lines(self) -> list[str]:
        """Options first, then packages: what uv resolves. The index that replaces PyPI is not among them."""
        options = [*self.formats]
        if self.no_index:
            options.append("--no-index")
        options += [f"--extra-index-url {url}" for url in self.extra_index_urls]
        options += [f"--find-links {place}" for place in self.find_links]
        return [*options, *(package.text for package in self.packages)]

    @property
    def texts(self) -> list[str]:
        """Everything that may name a variable."""
        return [*self.index_urls, *self.lines, *(constraint.text for constraint in self.constraints)]

    @property
    def settings(self) -> list[str]:
        """`package:key=value` of every requirement with settings."""
        return [f"{package.name}:{setting}" for package in self.packages for setting in package.settings]

    @property
    def paths(self) -> list[str]:
        """Files and folders of the model that it takes to resolve and install."""
        inside = [package.path for package in self.packages if package.path and is_inside(package.path)]
        return [*inside, *(place for place in self.find_links if is_inside(place))]

    @property
    def is_hashed(self) -> bool:
        """Whether pip would want a hash of every package."""
        return self.require_hashes or any(package.hashes for package in self.packages)


def parse(lines: Sequence[str], constraints: Sequence[str], read: Callable[[str], str | None]) -> Requirements:
    """A model's requirements, with its constraints file; `read` gives the text of another file of the model, or None.

    Raises InputError with every line that cannot be followed.
    """
    reader = _Reader(read=read)
    reader.file(REQUIREMENTS, lines, constrains=False)
    if CONSTRAINTS not in reader.seen:
        reader.file(CONSTRAINTS, constraints, constrains=True)
    if reader.faults:
        raise InputError("requirements", reader.faults)
    return reader.found


def is_inside(place: str) -> bool:
    """Whether `place` is a path relative to the model's directory."""
    return "://" not in place and not place.startswith(("/", "file:", "~", "$"))


@dataclass(kw_only=True)
class _Reader:
    read: Callable[[str], str | None]
    found: Requirements = field(default_factory=Requirements)
    faults: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def file(self, name: str, lines: Sequence[str], *, constrains: bool) -> None:
        self.seen.add(name)
        for number, line in logical_lines(lines):
            self.place = f"{name} line {number}"
            try:
                self._line(line, name, constrains=constrains)
            except ValueError as error:
                self.faults.append(f"{self.place}: {error}")

    def _line(self, line: str, file: str, *, constrains: bool) -> None:
        match = _OPTION.search(line) if line.startswith("-") else re.search(r"\s(--?[A-Za-z].*)$", line)
        text = line[: match.start()].strip() if match else line.strip()
        hashes: list[str] = []
        settings: list[str] = []
        for option, value in _options(match[1] if match else ""):
            if option in _OF_ONE and not text:
                raise ValueError(f"{option} stands alone, and belongs behind a requirement; join the lines")
            if option == "--hash":
                if not _HASH.fullmatch(value):
                    raise ValueError(f"--hash={value}, must be sha256, sha384 or sha512 and the digest, with a colon")
                hashes.append(value)
            elif option == "--config-settings":
                settings.append(value)
            elif option == "--editable":
                text = value  # in an image nobody edits: installed as any other
            elif text:
                raise ValueError(f"{option} stands behind a requirement; write it on a line of its own")
            elif option in {"--requirement", "--constraint"}:
                self._include(option, value, file, constrains=constrains or option == "--constraint")
            else:
                self._option(option, value)
        if text:
            place = self.place
            requirement = _requirement(text, place, hashes, settings)
            (self.found.constraints if constrains else self.found.packages).append(requirement)

    def _include(self, option: str, value: str, file: str, *, constrains: bool) -> None:
        if not is_inside(value):
            raise ValueError(
                f"{option} {value} names a file that is not the model's; log the model with the lines of that file"
            )
        name = _inside(str(PurePosixPath(file).parent / value))
        if name in self.seen or (constrains and name == CONSTRAINTS):
            return  # the model's constraints hold in any case
        text = self.read(name)
        if text is None:
            raise ValueError(
                f"{option} {value} names a file that the model does not have; log the model with the lines of that file"
            )
        place = self.place
        self.found.files.append(name)
        self.file(name, text.splitlines(), constrains=constrains)
        self.place = place

    def _option(self, option: str, value: str) -> None:
        found = self.found
        if option == "--index-url":
            found.index_urls.append(value)
            found.extra_index_urls.clear()  # as pip: it stands for all that were named before
        elif option == "--extra-index-url":
            found.extra_index_urls.append(value)
        elif option == "--find-links":
            found.find_links.append(_inside(value) if is_inside(value) else value)
        elif option == "--trusted-host":
            found.trusted_hosts.append(value)
        elif option in {"--no-binary", "--only-binary"}:
            found.formats.append(f"{option} {value}")
        elif option == "--no-index":
            found.no_index = True
        elif option == "--prefer-binary":
            found.prefer_binary = True
        elif option == "--pre":
            found.prereleases = True
        else:
            found.require_hashes = True


def logical_lines(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Number and text of each line that says something: continued lines joined, comments left out, and the byte order
    mark that editors on Windows put in front of a file."""
    first, parts = 0, list[str]()
    for number, written in enumerate(lines, start=1):
        line = written.removeprefix("\ufeff") if number == 1 else written
        first = first if parts else number
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            parts.append(line.removesuffix("\\"))
            continue
        joined = "".join([*parts, f" {line}" if is_comment else line])
        parts = []
        if text := _COMMENT.sub("", joined).strip():
            yield first, text
    if text := _COMMENT.sub("", "".join(parts)).strip():
        yield first, text


def _options(text: str) -> Iterator[tuple[str, str]]:
    """Each option with its value; raises ValueError for one that is not understood."""
    words = iter(shlex.split(text))
    for word in words:
        option, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2 and word[:2] in _SHORT:
            option, equals, value = word[:2], "=", word[2:].removeprefix("=")
        option = _SHORT.get(option, option)
        if option in _FLAGS and not equals:
            yield option, ""
        elif option in (*_WITH_VALUE, *_WITH_VALUE_TOO, *_OF_ONE):
            value = value if equals else next(words, "")
            if not value:
                raise ValueError(f"{option} has no value; add it or remove the option")
            yield option, value
        else:
            raise ValueError(f"{word} is an option that cannot be followed here; log the model without it")


def _requirement(text: str, place: str, hashes: Sequence[str], settings: Sequence[str]) -> Requirement:
    given = [*hashes, *(f"{kind}:{digest}" for kind, digest in _URL_HASH.findall(text))]
    if any(kind in text for kind in ("#md5=", "&md5=", "#sha1=", "&sha1=", "#sha224=", "&sha224=")):
        raise ValueError(f"{text}: a hash must be sha256, sha384 or sha512; log the model with such a one")
    text = re.sub(r"[#&]+(?=\s|$)", "", _URL_HASH.sub("", text))
    path = _path(text)
    name = _name(text, path)
    if settings and not name:
        raise ValueError(f"--config-settings needs the package's name in front: name @ {text}")
    return Requirement(
        text=text, place=place, name=name, path=path, hashes=tuple(dict.fromkeys(given)), settings=tuple(settings)
    )


def _path(text: str) -> str:
    """Where the requirement's file or folder is; raises ValueError for a relative path out of the model's directory."""
    target = re.sub(r"^\s*[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@\s*", "", text)
    target = re.split(r"\s+;|;\s", target)[0].split("#")[0].strip()
    is_url = target.startswith("file:")
    if is_url:
        target = re.sub(r"^//(localhost)?(?=/)", "", unquote(target.removeprefix("file:")))
    elif re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", target) or target.startswith("$"):
        return ""
    target = re.sub(r"\[[^\]]*\]$", "", target)
    looks_like_one = is_url or target.startswith(".") or "/" in target or target.lower().endswith(ARCHIVES)
    if target.startswith("/"):
        return target
    return _inside(target) if looks_like_one else ""


def _inside(path: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == "..":
            if not parts:
                raise ValueError(f"{path} leads out of the model's directory; log what it names with the model")
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts) or "."


def _name(text: str, path: str) -> str:
    if match := _NAME.match(text):
        is_archive = path and not match[3].startswith("@")
        if not is_archive:
            return canonicalize_name(match[1])
    if match := re.search(r"[#&]egg=([A-Za-z0-9._-]+)", text):
        return canonicalize_name(match[1])
    file = (path or re.split(r"[#?;\s]", text)[0]).rsplit("/", 1)[-1]
    if file.endswith(".whl"):
        try:
            return parse_wheel_filename(unquote(file))[0]
        except ValueError:
            return ""
    return ""
