"""What a model's image weighs and how long it takes: `make bench-images`.

The cache of images is empty at first and uv's is warm, as on a machine that has installed those packages before.
Nothing is delivered: `make bench-deploy` measures that. Two models: one that requires all of MLflow, as MLflow writes
it by itself, and one whose author wrote mlflow-skinny instead. A machine that has deployed the platform has a base,
and the first model on it is timed beside one.
"""

import json
import os
import shutil
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bench import report
from headrace.images.architecture import Architecture
from headrace.images.base import base_layers
from headrace.images.build import Assembled, assemble
from headrace.images.model import directory_listing, model_identity
from headrace.images.request import Base, Delivery, DeliveryKind, ImageKind, ImageRequest, ModelInput
from headrace.images.sbom import BILL
from headrace.images.store import Store, cache_directory

_CLASSIC = ("cloudpickle", "numpy", "pandas", "scikit-learn", "scipy")
_NOWHERE = Delivery(kind=DeliveryKind.CONTAINERD, address="/nowhere")


@dataclass(frozen=True, kw_only=True)
class Built:
    """One build and what it took."""

    made: Assembled
    seconds: float
    cpu_seconds: float
    """Of this process and those it started: what a shared machine does not change much."""

    def size(self, layer: str) -> int:
        """Bytes of a layer, as it lies unpacked on a node."""
        return sum(blob.size for name, blob, _ in self.made.layers if name == layer)

    @property
    def created(self) -> set[str]:
        """Layers that this build made."""
        return {name for name, _, created in self.made.layers if created}


def main() -> None:
    """Builds images in an empty cache, weighs and times them."""
    cells, bars = [], []
    with _empty_store() as store, _model(1) as model, _model(2) as newer:
        everything = _requirements("mlflow")
        first = _build(store, model, everything)
        again = _build(store, model, everything)
        version_two = _build(store, newer, everything)
        warm = _build(store, model, [*everything, "toolz==1.0.0"])
        skinny = _build(store, model, _requirements("mlflow-skinny"))
        busy = f"{os.getloadavg()[0]:.0f}"  # beside two cores: above two, the times are those of a shared machine
        patched = _build(store, model, everything, revision="patched", pins=first.made.pins)
        other = _build(store, model, everything, pins=first.made.pins, architecture=Architecture.ARM64)
        packages = _bill_of_materials(store, first)

        for name, built in (("all of mlflow", first), ("all of mlflow, arm64", other), ("mlflow-skinny", skinny)):
            for layer in ("base", "front", "environment", "code", "sbom", "model"):
                cells.append(report.single(name, f"{layer}, unpacked", built.size(layer) / 1e6, "MB"))
                cells.append(report.single(name, f"{layer}, compressed", _compressed(store, built, layer) / 1e6, "MB"))
            if built is other:  # weighed; what its bars would say the others' do
                continue
            for kind, size in _kinds(store, built).items():
                cells.append(report.single(name, f"environment, unpacked: {kind}", size / 1e6, "MB"))
            over = sum(built.size(layer) for layer in ("front", "environment", "code", "sbom", "model")) / 1e6
            moved = sum(_compressed(store, built, layer) for layer in ("front", "environment", "code", "sbom", "model"))
            bars.append(report.at_most(f"{name}: over the base, unpacked", over, 450, "MB"))
            bars.append(report.at_most(f"{name}: over the base, compressed", moved / 1e6, 450, "MB"))
    with _empty_store() as store, _model(1) as model:
        base_layers(store, Base(), log=store.new_log("bench"))
        first_model = _build(store, model, everything)
    for case, built in (
        ("everything from nothing", first),
        ("first model, beside a base", first_model),
        ("nothing changed", again),
        ("new version, same environment", version_two),
        ("environment whose packages another had", warm),
        ("same model on a patched base", patched),
        ("same model for arm64, with its base", other),
    ):
        cells.append(report.single(case, "build", built.seconds, "s"))
        cells.append(report.single(case, "build, CPU", built.cpu_seconds, "s"))
    bars += [
        report.at_most("front over the base, unpacked", (first.size("front") + first.size("code")) / 1e6, 60, "MB"),
        report.at_most("build of a new version, same environment", version_two.seconds, 3, "s"),
        report.at_most("build of the first scikit-learn model, beside a base", first_model.seconds, 25, "s"),
        report.at_most("build of a warm environment", warm.seconds, 10, "s"),
        report.at_most("layers that a new version makes", len(version_two.created), 1, "layers"),
        report.at_most(
            "layers that differ after the base was patched, but base and bill",
            len(_digests(first) ^ _digests(patched)),
            0,
            "layers",
        ),
        report.at_least("packages in the bill of materials", packages, len(first.made.pins), "packages"),
    ]
    versions = {name: version(name) for name in ("mlflow", *_CLASSIC)}
    report.write("images", versions={**versions, "load average": busy}, cells=cells, bars=bars)


@contextmanager
def _empty_store() -> Iterator[Store]:
    real = cache_directory()
    folder = Path(tempfile.mkdtemp(dir=real.parent, prefix="bench-"))
    os.environ["HEADRACE_CACHE"] = str(folder)
    try:
        yield Store(cache_directory())
    finally:
        os.environ["HEADRACE_CACHE"] = str(real)
        shutil.rmtree(folder)


@contextmanager
def _model(number: int) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "MLmodel").write_text(f"flavors: {{python_function: {{}}}}\nmodel_uuid: m-{number}\n")
        (Path(folder) / "model.pkl").write_bytes(bytes(2000))
        yield Path(folder)


def _requirements(mlflow: str) -> list[str]:
    """As MLflow writes them for a scikit-learn model, at the versions that are installed here."""
    return [f"{mlflow}=={version('mlflow')}", *(f"{name}=={version(name)}" for name in _CLASSIC)]


def _build(
    store: Store,
    model: Path,
    requirements: list[str],
    *,
    revision: str = "",
    pins: tuple[str, ...] = (),
    architecture: Architecture = Architecture.AMD64,
) -> Built:
    source = ModelInput(
        source=str(model),
        identity=model_identity(directory_listing(model, hashed=True)),
        python="3.11",
        requirements=tuple(requirements),
    )
    request = ImageRequest(kind=ImageKind.MODEL, name="models/bench", delivery=_NOWHERE, model=source)
    request = replace(request, base=Base(revision=revision, architecture=architecture))
    started, used = time.monotonic(), sum(os.times()[:4])
    made = assemble(request, store, pins=pins, log=store.new_log("bench"), report=lambda _: None)
    return Built(made=made, seconds=time.monotonic() - started, cpu_seconds=sum(os.times()[:4]) - used)


def _compressed(store: Store, built: Built, layer: str) -> int:
    """Bytes of a layer on its way to a registry (gzip)."""
    return sum(_packed(store.path(blob.digest)) for name, blob, _ in built.made.layers if name == layer)


@cache
def _packed(blob: Path) -> int:
    total, packer = 0, zlib.compressobj(wbits=31)
    with blob.open("rb") as file:
        while chunk := file.read(1 << 20):
            total += len(packer.compress(chunk))
    return total + len(packer.flush())


def _kinds(store: Store, built: Built) -> dict[str, int]:
    """Bytes of the environment layer by what the files are, each with its place in the archive."""
    found = dict.fromkeys(("compiled libraries", "Python", "bytecode", "packages' tests", "all else"), 0)
    (blob,) = (blob for name, blob, _ in built.made.layers if name == "environment")
    with tarfile.open(store.path(blob.digest)) as tar:
        for member in tar:
            *folders, file = member.name.split("/")
            if {"tests", "test"} & set(folders):
                kind = "packages' tests"
            elif ".so" in Path(file).suffixes:
                kind = "compiled libraries"
            else:
                kind = {".py": "Python", ".pyc": "bytecode"}.get(Path(file).suffix, "all else")
            found[kind] += tarfile.BLOCKSIZE + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return found


def _digests(built: Built) -> set[str]:
    return {blob.digest for name, blob, _ in built.made.layers if name not in {"base", "sbom"}}


def _bill_of_materials(store: Store, built: Built) -> int:
    (blob,) = (blob for name, blob, _ in built.made.layers if name == "sbom")
    with tarfile.open(store.path(blob.digest)) as tar:
        file = tar.extractfile(BILL.lstrip("/"))
        assert file is not None
        return len(json.load(file)["components"])


if __name__ == "__main__":
    main()
