"""The model's environment: resolved by the real uv from wheels made here, laid out as a virtual environment."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.contract.errors import PermanentError
from headrace.images import environment
from headrace.images.request import Base, BaseKind, ModelInput
from headrace.images.resolver import Resolver, options_of, pins_of
from headrace.images.store import Store

pytestmark = pytest.mark.slow  # half a second each, and many: real resolvers and installers

MakeWheel = Callable[..., str]
SITE = "opt/model/env/lib/python3.11/site-packages"
BASE = Base(kind=BaseKind.REGISTRY, reference="python:3.11-slim", python_path="/usr/bin/python3.11")  # never copied


def _model(*requirements: str, constraints: tuple[str, ...] = ()) -> ModelInput:
    return ModelInput(source="", identity="i", python="3.11.7", requirements=requirements, constraints=constraints)


def _build(store: Store, model: ModelInput, log: Path, *, pins: tuple[str, ...] = ()) -> tuple[str, str, bool]:
    """Lock, digest of the layer, whether it was created."""
    lock = environment.lock(store, model, BASE, pins=pins, log=log)
    blob, created = environment.environment_layer(store, lock, model, BASE, log=log)
    return lock, blob.digest, created


def _read(store: Store, digest: str, path: str) -> str:
    with tarfile.open(store.path(digest)) as tar:
        file = tar.extractfile(path)
        assert file is not None
        return file.read().decode()


def test_requirements_and_what_they_need_become_a_virtual_environment(
    store: Store, wheels: MakeWheel, log: Path
) -> None:
    wheels("needed", "1.5")
    option = wheels("scorer", "2.0", requires=["needed>=1"], scripts={"score": "scorer:main"})

    lock, digest, created = _build(store, _model(option, "scorer==2.0"), log)

    assert created
    assert pins_of(lock) == ("needed==1.5", "scorer==2.0")
    with tarfile.open(store.path(digest)) as tar:
        members = {member.name: member for member in tar}
    assert members["opt/model/env/bin/python"].linkname == "/usr/bin/python3.11"
    assert members["opt/model/env/bin/score"].mode == 0o755
    assert f"{SITE}/needed/__init__.py" in members
    assert f"{SITE}/needed/__pycache__/__init__.cpython-311.pyc" in members
    assert f"{SITE}/bin" not in members
    assert "home = /usr/bin\n" in _read(store, digest, "opt/model/env/pyvenv.cfg")
    assert "needed==1.5" in _read(store, digest, f"opt/model/env/{environment.LOCK_FILE}")


def test_scripts_run_with_the_environments_interpreter_and_the_record_says_where_they_are(
    store: Store, wheels: MakeWheel, log: Path
) -> None:
    option = wheels("scorer", "2.0", scripts={"score": "scorer:main"})

    _, digest, _ = _build(store, _model(option, "scorer"), log)

    assert _read(store, digest, "opt/model/env/bin/score").splitlines()[0] == "#!/opt/model/env/bin/python"
    record = _read(store, digest, f"{SITE}/scorer-2.0.dist-info/RECORD")
    assert "\n../../../bin/score,,\n" in f"\n{record}"


def test_pages_that_no_pod_shows_are_left_out_and_nothing_else(store: Store, wheels: MakeWheel, log: Path) -> None:
    served = ("mlflow/__init__.py", "mlflow/server/__init__.py", "mlflow/server/js/package.json", "mlflow/tests/x.py")
    files = dict.fromkeys((*served, "mlflow/server/js/build/index.html", "mlflow/server/js/build/static/a.js"), "\n")
    option = wheels("mlflow", "3.0", files=files)

    _, digest, _ = _build(store, _model(option, "mlflow"), log)

    with tarfile.open(store.path(digest)) as tar:
        found = {member.name.removeprefix(f"{SITE}/") for member in tar if member.isfile()}
    assert {path for path in found if path.startswith("mlflow/") and not path.endswith(".pyc")} == set(served)
    record = _read(store, digest, f"{SITE}/mlflow-3.0.dist-info/RECORD")
    assert {line.split(",")[0] for line in record.splitlines()} >= set(served)
    assert "index.html" not in record


def test_a_library_that_a_wheel_holds_twice_is_in_the_layer_once(store: Store, wheels: MakeWheel, log: Path) -> None:
    library = "library" * 4000
    files = dict.fromkeys(("scorer/libx.so", "scorer/libx.so.1", "scorer/x.txt", "scorer/y.txt"), library)
    option = wheels("scorer", "2.0", files={**files, "scorer/liby.so": "another"})

    _, digest, _ = _build(store, _model(option, "scorer"), log)

    with tarfile.open(store.path(digest)) as tar:
        links = {member.name: member.linkname for member in tar if member.islnk()}
    assert links == {f"{SITE}/scorer/libx.so.1": f"{SITE}/scorer/libx.so"}
    assert _read(store, digest, f"{SITE}/scorer/libx.so.1") == library


def test_models_with_the_same_requirements_share_the_lock_and_the_layer(
    store: Store, wheels: MakeWheel, log: Path
) -> None:
    option = wheels("scorer", "2.0")
    first = _build(store, _model(option, "scorer"), log)
    wheels("scorer", "2.1")  # released between the two versions of the model

    second = _build(store, _model("# a comment", option, "", "scorer  "), log)

    assert second == (*first[:2], False)


def test_pins_of_an_earlier_build_make_the_same_environment_elsewhere(
    store: Store, wheels: MakeWheel, log: Path, tmp_path: Path
) -> None:
    option = wheels("scorer", "2.0")
    lock, digest, _ = _build(store, _model(option, "scorer"), log)
    wheels("scorer", "2.1")
    elsewhere = Store(tmp_path / "elsewhere")

    assert _build(elsewhere, _model(option, "scorer"), log, pins=pins_of(lock)) == (lock, digest, True)
    assert pins_of(_build(Store(tmp_path / "third"), _model(option, "scorer"), log)[0]) == ("scorer==2.1",)


def test_constraints_hold(store: Store, wheels: MakeWheel, log: Path) -> None:
    wheels("scorer", "2.0")
    option = wheels("scorer", "2.1")
    model = _model(option, "scorer", "-c constraints.txt", constraints=("scorer<2.1",))

    assert pins_of(environment.lock(store, model, BASE, pins=(), log=log)) == ("scorer==2.0",)


def test_requirements_at_odds_fail_with_the_resolvers_own_words(store: Store, wheels: MakeWheel, log: Path) -> None:
    wheels("needed", "1.5")
    option = wheels("scorer", "2.0", requires=["needed>=2"])

    with pytest.raises(PermanentError) as caught:
        environment.lock(store, _model(option, "scorer"), BASE, pins=(), log=log)

    message = str(caught.value)
    assert "cannot be resolved for Python 3.11" in message
    assert "scorer" in message
    assert "needed>=2" in message
    assert str(store.root) not in message
    assert "needed>=2" in log.read_text()


def test_a_model_without_requirements_has_an_empty_environment(store: Store, log: Path) -> None:
    lock, digest, _ = _build(store, _model(), log)

    assert lock.strip() == ""
    with tarfile.open(store.path(digest)) as tar:
        assert "opt/model/env/bin/python" in tar.getnames()


def test_where_packages_come_from_stays_out_of_the_image(store: Store, wheels: MakeWheel, log: Path) -> None:
    option = wheels("scorer", "2.0")

    _, digest, _ = _build(store, _model(option, "scorer"), log)

    assert "find-links" not in _read(store, digest, f"opt/model/env/{environment.LOCK_FILE}")
    assert options_of([option, "scorer", "-r more.txt", "-c constraints.txt"]) == [option]


def test_a_wheel_that_is_not_the_locked_one_is_refused(wheels: MakeWheel, log: Path, tmp_path: Path) -> None:
    option = wheels("scorer", "2.0")
    resolver = Resolver(python="3.11", platform="x86_64-manylinux_2_28", log=log)
    lock = f"scorer==2.0 --hash=sha256:{'0' * 64}\n"

    with pytest.raises(PermanentError, match=r"(?s)Packages cannot be installed.*[Hh]ash mismatch"):
        resolver.install(lock, tmp_path / "site", scratch=tmp_path, options=[option])


def test_settings_of_the_project_around_do_not_reach_the_model(
    store: Store, wheels: MakeWheel, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project's override of a version once replaced what a model had logged."""
    wheels("scorer", "1.0")
    option = wheels("scorer", "2.0")
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\noverride-dependencies = ["scorer==1.0"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UV_NO_CONFIG")

    lock, digest, _ = _build(store, _model(option, "scorer==2.0"), log)

    assert pins_of(lock) == ("scorer==2.0",)
    assert "VERSION = '2.0'" in _read(store, digest, f"{SITE}/scorer/__init__.py")


def test_what_was_installed_is_compared_with_the_lock(
    wheels: MakeWheel, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own settings count, and some make uv install another version than it was told."""
    wheels("scorer", "1.0")
    option = wheels("scorer", "2.0")
    settings = tmp_path / "settings" / "uv" / "uv.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('override-dependencies = ["scorer==1.0"]\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("UV_NO_CONFIG")
    resolver = Resolver(python="3.11", platform="x86_64-manylinux_2_28", log=log)

    with pytest.raises(PermanentError, match=r"scorer 1\.0 was installed where the lock has 2\.0"):
        resolver.install("scorer==2.0\n", tmp_path / "site", scratch=tmp_path, options=[option], hashes_required=False)


@pytest.mark.parametrize(
    ("script", "first_line"),
    [
        (b"#!/home/me/python\nimport sys\n", b"#!/opt/model/env/bin/python"),
        (b"#!/bin/sh\n'''exec' '/very/long/python' \"$0\" \"$@\"\n' '''\nimport sys\n", b"#!/opt/model/env/bin/python"),
        (b"#!/bin/sh\necho\n", b"#!/bin/sh"),
        (b"\x7fELF binary", b"\x7fELF binary"),
    ],
)
def test_only_scripts_of_python_get_another_interpreter(script: bytes, first_line: bytes) -> None:
    changed = environment._with_shebang(script)

    assert changed.split(b"\n")[0] == first_line
    assert changed.split(b"\n")[-2:] == script.split(b"\n")[-2:]
