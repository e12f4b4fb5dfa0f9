"""An image is the same whoever builds it: two users with other programs on PATH, locale, mask, clock and habits.

The tests run as root, which lends the second user the right to read this checkout and nothing else.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from headrace.contract.codec import encode
from headrace.images.model import directory_listing, model_identity
from headrace.images.request import Base, Delivery, DeliveryKind, ImageKind, ImageRequest, ModelInput

pytestmark = pytest.mark.slow  # two builds, each in a process of its own

MakeWheel = Callable[..., str]
NOBODY = 65534
BUILD = """
import json, os, sys
from pathlib import Path
from headrace.contract.codec import decode
from headrace.images.build import assemble, describe
from headrace.images.request import ImageRequest
from headrace.images.store import Store, cache_directory

os.umask(int(sys.argv[2], 8))
given = json.load(open(sys.argv[1]))
request, root = decode(ImageRequest, given["request"]), Path(given["root"])
store = Store(cache_directory())
made = assemble(request, store, log=store.new_log("identity"), report=lambda _: None, root=root)
described = describe(request, root=root)
print(json.dumps({
    "image": made.image.digest,
    "layers": {name: blob.digest for name, blob, _ in made.layers},
    "platform": described.platform_digest,
    "environment": described.environment_digest,
    "user": os.getuid(),
}))
"""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who deploys, and his machine."""

    user: int
    umask: str
    variables: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def home() -> Iterator[Callable[[int], Path]]:
    """Makes folders that belong to a user."""
    made = []

    def make(user: int) -> Path:
        folder = Path(mkdtemp(prefix="headrace-identity-"))
        made.append(folder)
        os.chown(folder, user, user)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder)


@pytest.fixture
def request_file(tmp_path: Path, wheels: MakeWheel, small_base: Base, checkout: Path, model_directory: Path) -> Path:
    """A model, packages with scripts, libraries and names that are not ASCII, and a platform that has some too."""
    text = "café = 'naïve'\n"
    library = dict.fromkeys(("server/libx.so", "server/libx.so.1"), "library" * 1000)
    option = wheels("server", "1.0", files={"server/__init__.py": text, "server/größe.py": text, **library},
                    scripts={"serve": "server:main"})  # fmt: skip
    scorer = {"scorer/__init__.py": "NAMES = {'a', 'b', 'c'}\n", "scorer/tests/test_x.py": "x = 1\n"}
    wheels("scorer", "2.0", files=scorer, scripts={"score": "scorer:main"})
    wheel = Path(option.split()[-1]) / "server-1.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (checkout / "locks" / "front.lock").write_text(f"server==1.0 --hash=sha256:{digest}\n")
    (model_directory / "data" / "gewichte-ä.bin").write_bytes(b"w")
    model = ModelInput(
        source=str(model_directory),
        identity=model_identity(directory_listing(model_directory, hashed=True)),
        python="3.11.7",
        requirements=("scorer",),
    )
    delivery = Delivery(kind=DeliveryKind.CONTAINERD, address="/nowhere")
    request = ImageRequest(kind=ImageKind.MODEL, name="models/x", delivery=delivery, base=small_base, model=model)
    path = tmp_path / "request.json"
    path.write_text(json.dumps({"request": encode(request), "root": str(checkout), "wheels": option.split()[-1]}))
    return path


def _built_by(person: Person, home: Path, request_file: Path) -> dict[str, Any]:
    (home / "venv").symlink_to(sys.prefix)
    command = [str(home / "venv" / "bin" / "python"), "-c", BUILD, str(request_file), person.umask]
    if person.user != os.getuid():
        reads = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
        command = ["setpriv", f"--reuid={person.user}", f"--regid={person.user}", "--clear-groups", *reads, *command]
    settings = home / ".config" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    wheels = json.loads(request_file.read_text())["wheels"]
    settings.write_text(f"no-index = true\nfind-links = [{json.dumps(wheels)}]\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HEADRACE_CACHE": str(home / "cache"),
        "UV_CACHE_DIR": str(home / "uv"),
        **person.variables,
    }
    ran = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    built: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    assert built.pop("user") == person.user
    return built


@pytest.mark.skipif(os.getuid() != 0, reason="only root can build as another user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (Debian package util-linux) is not installed")
def test_two_users_on_two_machines_build_the_same_image(
    home: Callable[[int], Path], request_file: Path, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("strip", "readelf", "uv", "python", "python3", "python3.11"):
        (programs / name).write_text("#!/bin/sh\necho 'GNU strip (another release)'; exit 1\n")
        (programs / name).chmod(0o755)
    root = Person(user=0, umask="022", variables={"LANG": "C.UTF-8", "TZ": "UTC"})
    other = Person(
        user=NOBODY,
        umask="077",
        variables={
            "PATH": f"{programs}:/usr/bin:/bin",
            # no UTF-8 anywhere, and Python's ways of having it all the same are turned off
            **{"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            **{"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "UV_COMPILE_BYTECODE": "1", "SOURCE_DATE_EPOCH": "1"},
        },
    )

    assert _built_by(other, home(NOBODY), request_file) == _built_by(root, home(0), request_file)
