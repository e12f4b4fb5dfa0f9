"""What a conda.yaml asks of conda itself, as requirements on PyPI's packages: no conda runs here.

Most of it has the same name there, some another, and some are libraries that wheels carry or programs that PyPI does
not have. What becomes of each is said.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from packaging.utils import canonicalize_name

_OTHER_NAMES: Final = {
    "dask-core": "dask",
    "faiss": "faiss-cpu",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "numpy-base": "numpy",
    "opencv": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ray-core": "ray",
    "ray-default": "ray",
    "seaborn-base": "seaborn",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
}
"""conda's name and PyPI's, where they differ."""

_CARRIED: Final = re.compile(
    r"_.*|blas|bzip2|ca-certificates|certifi-data|cu(da|blas|dnn|sparse|fft|rand|solver|tensor|pti)[a-z0-9_.-]*"
    r"|expat|freetype|glib|hdf5|icu|intel-openmp|jpeg|lcms2|ld_impl_linux-64|lerc|lib(?!cst|pysal|rosa|sass|tmux).*|llvm-openmp|lz4-c|mkl"
    r"|mkl[_-](fft|random|service)|nccl|ncurses|nomkl|openblas|openh264|openjpeg|openssl|pthread-stubs|pytorch-cuda"
    r"|pytorch-mutex|readline|snappy|sqlite|tbb|tk|tzdata|x264|xorg-.*|xz|yaml|zlib|zlib-ng|zstd"
)
"""Libraries: wheels carry those that they need, the base has the rest."""

_PROGRAMS: Final = re.compile(
    r"ant|autoconf|automake|bash|binutils.*|boost|boost-cpp|bwa|c-compiler|cairo|clang.*|cmake|compilers|coreutils|curl"
    r"|cxx-compiler|eigen|ffmpeg|fortran-compiler|g?fortran.*|gcc.*|git|git-lfs|graphviz|gxx.*|imagemagick|java-.*|julia"
    r"|make|maven|ninja-base|nodejs|openjdk|openmpi|mpich|pandoc|pango|perl|pkg-config|poppler|r|r-.*|ruby|rust"
    r"|samtools|scala|sox|swig|tesseract|texlive-core|unzip|wget|wkhtmltopdf|yarn|zip"
)
"""Programs and what is not Python: PyPI has nothing of them, or another thing under the name."""

_KNOWN_CHANNELS: Final = ("anaconda", "conda-forge", "default", "defaults", "main", "nodefaults", "nvidia", "pytorch")
_SPEC: Final = re.compile(
    r"(?:(?P<channel>[^\s:]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)\s*(?P<rest>.*)", flags=re.DOTALL
)
_KEY: Final = re.compile(r"([a-z_]+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([^,\]]+))")
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_]*(?:\.?\*)?")
_CLAUSE: Final = re.compile(r"(==|!=|<=|>=|~=|<|>|=)?\s*(.+)")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """What becomes of conda's own packages."""

    requirements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Sentences on what is not as conda would have it."""
    faults: tuple[str, ...] = ()
    """Of what cannot be told to pip."""


def translate(dependencies: Iterable[str], channels: Iterable[str]) -> Translation:
    """The dependencies of a conda.yaml without its pip section; `python` is the base's and no part of it."""
    requirements: list[str] = []
    changed: list[str] = []
    carried: list[str] = []
    programs: list[str] = []
    faults: list[str] = []
    channels = [*channels]
    for dependency in dependencies:
        match = _SPEC.fullmatch(dependency.strip())
        if match is None:
            faults.append(f"conda.yaml's {dependency!r} is no conda package; log the model again without it")
            continue
        name = match["name"].lower()
        if match["channel"]:
            channels.append(match["channel"])
        pypi = _OTHER_NAMES.get(name, name)
        if name == "python":
            continue
        if name not in _OTHER_NAMES and _CARRIED.fullmatch(name):
            carried.append(dependency)
        elif _PROGRAMS.fullmatch(name):
            programs.append(dependency)
        else:
            try:
                requirement = canonicalize_name(pypi) + _specifier(match["rest"])
            except ValueError as error:
                faults.append(
                    f"conda.yaml's {dependency!r} {error}; log the model with that package in conda's pip list"
                )
                continue
            requirements.append(requirement)
            if name not in {"pip", "setuptools", "wheel"}:
                changed.append(f"{dependency} as {requirement}")
    notes = []
    if changed:
        others = [channel for channel in dict.fromkeys(channels) if channel.lower() not in _KNOWN_CHANNELS]
        of = f", also where the channel {' or '.join(others)} has other ones" if others else ""
        notes.append(f"conda's own packages are installed from PyPI{of}: {', '.join(changed)}")
    if carried:
        notes.append(f"not installed, since wheels carry the libraries that they need: {', '.join(carried)}")
    if programs:
        notes.append(
            f"not installed, since PyPI does not have it: {', '.join(programs)}; where the model needs it, name a base "
            "of kind 'registry' that has it"
        )
    return Translation(requirements=tuple(requirements), notes=tuple(notes), faults=tuple(faults))


def _specifier(rest: str) -> str:
    """conda's version, without its build, as pip writes it; raises ValueError with the rest of a sentence."""
    rest = rest.strip()
    if rest.startswith("["):
        keys = {key: first or second or third for key, first, second, third in _KEY.findall(rest)}
        build, version = keys.get("build", ""), keys.get("version", "")
        return _specifier(f"{version}={build}" if build and version else version)
    rest = re.sub(r"\s*([<>=!~,|])\s*", r"\1", rest.partition("[")[0].strip())
    exact = False
    if match := re.fullmatch(r"(={0,2}[^=\s<>!~,|]+)[=\s]([^=\s<>!~,|]+)", rest):  # version and build
        rest, build = match.groups()
        exact = build != "*"
    elif rest and not rest.startswith(("=", "<", ">", "!", "~")) and "," not in rest:
        exact = True  # `numpy 1.26.4`
    if rest.lstrip("=") in {"", "*"}:
        return ""
    if "|" in rest:
        raise ValueError("names versions with |, which pip cannot say")
    return ",".join(_clause(clause, exact=exact) for clause in rest.split(","))


def _clause(clause: str, *, exact: bool) -> str:
    match = _CLAUSE.fullmatch(clause)
    operator, version = ("=", "") if match is None else (match[1] or "=", match[2])
    if not _VERSION.fullmatch(version):
        raise ValueError("has a version that pip cannot read")
    starred = re.sub(r"\.?\*$", "", version)
    if operator == "=":
        only_numbers = re.fullmatch(r"\d+(\.\d+)*", starred)
        wide = starred != version or (not exact and only_numbers)
        return f"=={starred}.*" if wide else f"=={starred}"
    if starred != version and operator not in {"==", "!="}:
        return f"{operator}{starred}"
    return f"{operator}{starred}.*" if starred != version else f"{operator}{version}"
