"""What a conda.yaml asks of conda, from a channel that is named: its interpreter, libraries and programs."""

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import conda_channel
import pytest
import python_mirror

from headrace.contract.errors import PermanentError
from headrace.images import conda_environment, environment
from headrace.images.interpreter import interpreter, interpreter_layer
from headrace.images.request import Base, BaseKind, ModelInput
from headrace.images.resolver import pins_of
from headrace.images.store import Store

VERSION = next(iter(version for version in python_mirror.at_hand() if not version.startswith("3.11.")), "")
MINOR = VERSION.rpartition(".")[0]
SITE = f"lib/python{MINOR}/site-packages"
METADATA = "Metadata-Version: 2.1\nName: Geo\nVersion: 4.2\n\n"


def base(*channels: str) -> Base:
    reference = "python:3.11-slim"  # never copied
    return Base(kind=BaseKind.REGISTRY, reference=reference, python_path="/usr/bin/python3.11", conda_channels=channels)


def model(*conda: str, requirements: tuple[str, ...] = ()) -> ModelInput:
    return ModelInput(source="s", identity="i", python=VERSION or "3.10", conda=conda, requirements=requirements)


def test_what_mlflow_writes_into_every_conda_yaml_asks_conda_for_nothing() -> None:
    ours = model("python=3.10.13", "pip<=23.2.1", "setuptools=65", "wheel")

    assert not conda_environment.is_wanted(ours, base("https://conda.example.com/forge"))
    assert not conda_environment.is_wanted(model("gdal=3.8"), base())
    assert conda_environment.is_wanted(model("conda-forge::GDAL=3.8"), base("https://conda.example.com/forge"))


@pytest.mark.slow
@pytest.mark.skipif(not VERSION, reason="no interpreter in ~/.pyenv/versions to make a channel of")
def test_a_models_environment_is_what_the_channel_has_and_pip_puts_its_own_beside_it(
    store: Store, wheels: Callable[..., str], log: Path, tmp_path: Path
) -> None:
    """`geo` has a library that PyPI does not, a program, and a Python package that a requirement of pip needs."""
    channel = tmp_path / "channel"
    conda_channel.add_python(channel, VERSION, tmp_path / "mirror")
    program = f"#!{conda_channel.PLACEHOLDER}/bin/python\nimport geo, sys\nprint(geo.WHERE, sys.version_info[:2])\n"
    conda_channel.add(
        channel,
        "geo",
        "4.2",
        depends=[f"python {MINOR}.*", "libgeo >=1"],
        files={
            "bin/geoinfo": program.encode(),
            f"{SITE}/geo/__init__.py": f"WHERE = '{conda_channel.PLACEHOLDER}/share/geo'\n".encode(),
            f"{SITE}/Geo-4.2.dist-info/METADATA": METADATA.encode(),
        },
    )
    conda_channel.add(channel, "libgeo", "1.5", files={"lib/libgeo.so.1": b"not loaded", "share/geo/grid": b"grid"})
    wheels("geo", "4.2")
    wheels("geo", "4.3")
    option = wheels("scorer", "2.0", requires=["geo"], files={"scorer.py": "import geo\n"})
    under, asked = base(conda_channel.index(channel)), model("geo=4.2", requirements=(option, "scorer"))

    lock = environment.lock(store, asked, under, pins=(), log=log)
    made, _ = environment.environment_layer(store, lock, asked, under, log=log)

    assert pins_of(lock) == ("scorer==2.0",), "geo is conda's, in conda's version"
    assert sorted(conda_environment.packages_in(lock)) == [("geo", "4.2"), ("libgeo", "1.5"), ("python", VERSION)]
    assert interpreter_layer(store, interpreter(asked, under), log=log) is None
    with tarfile.open(store.path(made.digest)) as tar:
        names = set(tar.getnames())
        assert {"opt/model/env/share/geo/grid", f"opt/model/env/{SITE}/scorer.py"} <= names
        assert "opt/model/env/pyvenv.cfg" not in names
        tar.extractall(tmp_path / "root", filter="fully_trusted")
    prefix = tmp_path / "root/opt/model/env"
    assert (prefix / "bin/geoinfo").read_text().startswith("#!/opt/model/env/bin/python\n")
    words = [prefix / "bin/python", "-I", "-c", "import scorer, geo, sys; print(geo.WHERE, sys.version.split()[0])"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert said == ["/opt/model/env/share/geo", VERSION]

    with pytest.raises(PermanentError) as caught:
        environment.lock(store, model("geo=4.2", "geoserver=9"), under, pins=(), log=log)
    assert "conda's packages geo=4.2, geoserver=9" in str(caught.value)
    assert "geoserver" in str(caught.value).partition("the solver says")[2]


def test_a_channels_address_has_no_password_and_is_an_address() -> None:
    with pytest.raises(Exception, match=r"conda_channels\[0\]") as caught:
        Base.from_json({"conda_channels": ["https://me:secret@host/forge", "conda-forge"]})

    assert "conda_channels[1] = 'conda-forge', must be the address of a conda channel without a password" in str(
        caught.value
    )
