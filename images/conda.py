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
    "brotli-python": "brotli",
    "dask-core": "dask",
    "faiss": "faiss-cpu",
    "matplotlib-base": "matplotlib",
    "mlflow-ui": "mlflow",
    "msgpack-python": "msgpack",
    "numpy-base": "numpy",
    "opencv": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyarrow-core": "pyarrow",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-blosc": "blosc",
    "python-fastjsonschema": "fastjsonschema",
    "python-flatbuffers": "flatbuffers",
    "python-graphviz": "graphviz",
    "python-lmdb": "lmdb",
    "python-tzdata": "tzdata",
    "python-xxhash": "xxhash",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ray-core": "ray",
    "ray-default": "ray",
    "seaborn-base": "seaborn",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tiledb-py": "tiledb",
    "torchtriton": "triton",
}
"""conda's name and PyPI's, where they differ."""

_OF_PYTHON: Final = frozenset(("python", "python_abi", "python-gil", "cpython", "backports", "dataclasses"))
"""The base's interpreter, and what conda has beside it for every version of it: of PyPI's `dataclasses` there is none
for a Python of today."""

_CARRIED: Final = re.compile(
    r"_.*|alsa-lib|aom|arrow-cpp|attr|aws-(c-.*|checksums|crt-cpp|sdk-cpp)|azure-.*-cpp|blas|blosc|brotli-bin|brunsli"
    r"|bzip2|c-ares|c-blosc2|ca-certificates|certifi-data|cfitsio|charls|coin-or-.*"
    r"|cu(da|blas|dnn|sparse|fft|rand|solver|tensor|pti)[a-z0-9_.-]*|cyrus-sasl|dav1d|dbus|double-conversion|elfutils"
    r"|expat|fmt|font-ttf-.*|fontconfig|fonts-.*|freetype|freexl|fribidi|gdk-pixbuf|geos|geotiff|gettext|gflags|giflib"
    r"|glib|glib-tools|glog|gmp|gnutls|graphite2|grpc-cpp|gst-plugins-base|gstreamer|harfbuzz|hdf4|hdf5|icu"
    r"|intel-openmp|isl|jpeg|json-c|jxrlib|kealib|kernel-headers_.*|keyutils|krb5|lame|lcms2|ld_impl_.*|lerc|level-zero"
    r"|lib(?!cst|pysal|rosa|sass|tmux).*|llvm-openmp|lz4-c|magma|metis|minizip|mkl|mkl-(devel|include)"
    r"|mkl[_-](fft|random|service)|mpc|mpfr|mpg123|mysql-(common|libs)|nccl|ncurses|nettle|nlohmann_json|nomkl|nspr|nss"
    r"|ocl-icd|onednn|openblas|openh264|openjpeg|openssl|orc|p11-kit|pcre2?|pixman|poppler-data|proj|pthread-stubs"
    r"|pulseaudio.*|pytorch-cuda|pytorch-mutex|qhull|qt(6)?-main|qtbase|rav1e|rdma-core|re2|readline|s2n(-tls)?|sleef"
    r"|snappy|spdlog|sqlite|suitesparse|svt-av1|sysroot_.*|tbb|tbb-devel|tiledb|tk|tzdata|ucx|unixodbc|uriparser"
    r"|utf8proc|wayland|x264|x265|xcb-util.*|xerces-c|xkeyboard-config|xorg-.*|xz|xz-.*|yaml|zeromq|zfp|zlib|zlib-ng"
    r"|zstd"
)
"""Libraries, as `conda env export` lists them: wheels carry those that they need, the base has the rest. Under many of
their names PyPI has another package, or none."""

_PROGRAMS: Final = re.compile(
    r"ant|autoconf|automake|bash|binutils.*|boost|boost-cpp|bwa|c-compiler|cairo|clang.*|cmake|compilers|coreutils|curl"
    r"|cxx-compiler|eigen|ffmpeg|fortran-compiler|g?fortran.*|gcc.*|git|git-lfs|graphviz|gxx.*|imagemagick|java-.*|julia"
    r"|make|maven|mpich|mysql|ninja-base|nodejs|openjdk|openmpi|pandoc|pango|perl|pkg-config|poppler|postgresql|r|r-.*"
    r"|ruby|rust|samtools|scala|sox|swig|tesseract|texlive-core|unzip|wget|wkhtmltopdf|yarn|zip"
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
    """The dependencies of a conda.yaml without its pip section; the interpreter is the base's and no part of it."""
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
        if name in _OF_PYTHON:
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
