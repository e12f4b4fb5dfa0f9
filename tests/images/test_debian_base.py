"""Bases made of Debian packages, for this machine and for another architecture, whose programs an emulator runs."""

import os
import subprocess
import tarfile
from pathlib import Path, PurePosixPath

import debian_program
import mlflow
import pytest

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images import base as base_module
from headrace.images import debian_base, envoy, prometheus
from headrace.images.architecture import Architecture, machine_of
from headrace.images.base import BaseLayers
from headrace.images.build import assemble
from headrace.images.model import directory_listing, model_identity
from headrace.images.request import Base, Delivery, DeliveryKind, ImageKind, ImageRequest, ModelInput
from headrace.images.store import Blob, Store, cache_directory

DOUBLING = """\
import mlflow
class Doubling(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input["x"] * 2
mlflow.models.set_model(Doubling())
"""


def base_of(store: Store, architecture: Architecture, log: Path) -> BaseLayers:
    try:
        return base_module.base_layers(store, Base(architecture=architecture), log=log)
    except (PermanentError, TemporaryError) as error:
        pytest.skip(str(error))


def unpack(store: Store, blobs: list[Blob], root: Path) -> None:
    for blob in blobs:
        with tarfile.open(store.path(blob.digest)) as tar:
            tar.extraction_filter = debian_base.as_they_are()
            tar.extractall(root)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("usr/lib/python3.11/os.py", True),
        ("usr/lib/python3.11/__pycache__/os.cpython-311.pyc", False),
        ("dev/null", False),
        ("usr/share/doc/libc6/copyright", True),
        ("usr/share/man/man1/ls.1.gz", False),
        ("var/lib/dpkg/status", True),
        ("var/lib/dpkg/info/libc6.list", False),
        ("etc/machine-id", False),
        ("etc/apt/sources.list.d/mirror.sources", False),
        ("etc/machine-identity", True),
    ],
)
def test_a_debian_base_holds_what_a_server_needs(path: str, kept: bool) -> None:
    assert debian_base.is_kept(PurePosixPath(path)) == kept


@pytest.mark.slow
def test_a_debian_base_runs_python_and_nothing_as_root(log: Path) -> None:
    store = Store(cache_directory())  # the machine's own: where there is a base already, it is the one to look at
    try:
        made = base_module.base_layers(store, Base(), log=log)
    except (PermanentError, TemporaryError) as error:
        pytest.skip(str(error))

    with tarfile.open(store.path(made.layers[0].digest)) as tar:
        members = {member.name: member for member in tar}
    assert members["usr/bin/python3.11"].mode == 0o755
    assert "usr/lib/python3.11/__pycache__/os.cpython-311.pyc" in members
    assert members["tmp"].mode == 0o1777
    assert not [name for name, member in members.items() if member.mode & 0o6000 or member.ischr()]
    assert not [name for name in members if name.startswith(("var/lib/apt/", "usr/share/man/"))]


@pytest.mark.slow
def test_a_base_for_another_architecture_has_the_same_packages_and_nothing_of_this_one(
    log: Path, tmp_path: Path
) -> None:
    store = Store(cache_directory())
    own, other = (base_of(store, architecture, log) for architecture in (debian_base.MADE_ON, Architecture.ARM64))

    assert {name for _, name, _ in other.packages} == {name for _, name, _ in own.packages}
    unpack(store, [*other.layers], tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {machine_of(path) for path in files} == {None, "aarch64"}
    assert not [path for path in files if "x86_64" in path.name]
    certificates = (tmp_path / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert certificates.count("BEGIN CERTIFICATE") > 100, "made by a script that did not run"
    assert "nobody:*:65534" in (tmp_path / "etc/passwd").read_text()
    assert (tmp_path / "usr/lib/python3.11/__pycache__/os.cpython-311.pyc").exists()
    assert {path.name: os.readlink(path) for path in tmp_path.iterdir() if path.is_symlink()} == {
        "bin": "usr/bin", "lib": "usr/lib", "sbin": "usr/sbin",
    }  # fmt: skip
    assert "Architecture: arm64" in (tmp_path / "var/lib/dpkg/status").read_text()


@pytest.mark.slow
def test_the_proxy_and_the_metrics_server_are_had_for_another_architecture(log: Path, tmp_path: Path) -> None:
    store, base = Store(cache_directory()), Base(architecture=Architecture.ARM64)
    try:
        blobs = [
            envoy.envoy_layer(store, base.architecture, log=log)[0],
            prometheus.prometheus_layer(store, base, log=log)[0],
        ]
    except (PermanentError, TemporaryError) as error:
        pytest.skip(str(error))

    unpack(store, blobs, tmp_path)

    for program in (names.ENVOY_BINARY, prometheus.BINARY):
        assert machine_of(tmp_path / program.lstrip("/")) == "aarch64"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own for the emulated programs needs to be root")
def test_an_image_for_another_architecture_runs_in_an_emulator(log: Path, tmp_path: Path) -> None:
    """Real wheels for arm64 on a real Debian for arm64; qemu runs what a pod of it would: the front's interpreter with
    all that the front imports, and the model in its own environment, which answers as it did here."""
    emulator = debian_program.find("qemu-user-static", "usr/bin/qemu-aarch64-static")
    store, base = Store(cache_directory()), Base(architecture=Architecture.ARM64)
    base_of(store, Architecture.ARM64, log)
    source, script = tmp_path / "model", tmp_path / "doubling.py"
    script.write_text(DOUBLING)
    mlflow.pyfunc.save_model(str(source), python_model=str(script), pip_requirements=[])
    versions = [f"{name}=={__import__(name).__version__}" for name in ("numpy", "pandas", "cloudpickle")]
    model = ModelInput(
        source=str(source),
        identity=model_identity(directory_listing(source, hashed=True)),
        python="3.11",
        requirements=(f"mlflow-skinny=={mlflow.__version__}", *versions),
    )
    nowhere = Delivery(kind=DeliveryKind.CONTAINERD, address="/nowhere")
    request = ImageRequest(kind=ImageKind.MODEL, name="models/emulated", delivery=nowhere, model=model, base=base)

    made = assemble(request, store, log=log, report=lambda _: None)

    root = tmp_path / "root"
    unpack(store, [blob for _, blob, _ in made.layers], root)
    libraries = [path for path in (root / "opt").rglob("*.so*") if path.is_file() and not path.is_symlink()]
    assert len(libraries) > 20
    assert {machine_of(path) for path in libraries} == {"aarch64"}
    (root / "qemu").write_bytes(emulator.read_bytes())
    (root / "qemu").chmod(0o755)

    def run(program: str, *arguments: str, **variables: str) -> str:
        command = ["chroot", str(root), "/qemu", program, *arguments]
        environment = {"PATH": "/usr/sbin:/usr/bin", **variables}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    front = "import platform, headrace.runtimes.http.serving, uvloop, orjson, httptools; print(platform.machine())"
    assert run("/usr/bin/python3.11", "-c", front, PYTHONPATH=names.FRONT_SITE) == "aarch64\n"
    environment = f"{names.MODEL_ENVIRONMENT}/bin/python"
    asked = (
        "import platform, numpy, mlflow, pandas\n"
        f"model = mlflow.pyfunc.load_model({names.MODEL_HOME!r})\n"
        "answer = model.predict(pandas.DataFrame({'x': [1.5, 2.0]}))\n"
        "print(platform.machine(), numpy.__version__, [float(value) for value in answer])"
    )
    assert run(environment, "-I", "-c", asked).split(" ", 2) == [
        "aarch64",
        versions[0].partition("==")[2],
        "[3.0, 4.0]\n",
    ]
    worker = f"{names.FRONT_SITE}/headrace/runtimes/worker/__main__.py"
    assert "Serves one MLflow model to a Headrace front." in run(environment, "-I", worker, "--help")
