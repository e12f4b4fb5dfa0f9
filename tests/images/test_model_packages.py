"""A model's packages as pip, run in its directory, would find them: by the real uv, from indexes served here."""

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from logged_packages import BASE, SITE, installed, logged, pins

from headrace.contract.errors import PermanentError
from headrace.images import environment
from headrace.images.request import ModelInput
from headrace.images.resolver import pins_of
from headrace.images.store import Store

pytestmark = pytest.mark.slow  # half a second each, and many: real resolvers and installers

MakeWheel = Callable[..., str]
Serve = Callable[..., str]

BACKEND = """\
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "pkg-0.3-py3-none-any.whl"
    info = "pkg-0.3.dist-info"
    files = {
        "pkg/__init__.py": f"SETTINGS = {config_settings}\\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: pkg\\nVersion: 0.3\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": "".join(f"{path},,\\n" for path in files)}.items():
            wheel.writestr(path, text)
    return name
"""
PROJECT = """\
[project]
name = "pkg"
version = "0.3"
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


@pytest.fixture
def package(model_directory: Path) -> Path:
    """The sources of a package among the model's code."""
    folder = model_directory / "code" / "pkg"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


@pytest.mark.parametrize(
    "line", ["code/inside-1.0-py3-none-any.whl", "./code/inside-1.0-py3-none-any.whl", "inside @ file:./code/{}", "-f"]
)
def test_a_wheel_that_was_logged_with_the_model_is_installed(
    line: str, store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    option = wheels("needed", "1.5")
    wheels("inside", "1.0", requires=["needed"], into=model_directory / "code")
    lines = {"-f": ("--find-links code", "inside")}.get(line, (line.format("inside-1.0-py3-none-any.whl"),))

    files = installed(store, logged(model_directory, option, *lines), log)

    assert files[f"{SITE}/inside/__init__.py"] == "VERSION = '1.0'\n"
    assert f"{SITE}/needed/__init__.py" in files
    assert not [name for name in files if name.endswith(("direct_url.json", "uv_cache.json"))]
    assert "direct_url" not in files[f"{SITE}/inside-1.0.dist-info/RECORD"]


def test_a_wheel_of_the_same_name_and_other_content_makes_another_environment(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    """Whoever works on a library logs it again and again under one version."""
    option = wheels("needed", "1.5")
    wheels("inside", "1.0", into=model_directory / "code")
    line = "code/inside-1.0-py3-none-any.whl"
    installed(store, logged(model_directory, option, line), log)

    wheels("inside", "1.0", files={"inside/__init__.py": "NEW = True\n"}, into=model_directory / "code")
    files = installed(store, logged(model_directory, option, line), log)

    assert files[f"{SITE}/inside/__init__.py"] == "NEW = True\n"


@pytest.mark.parametrize("line", ["./code/pkg", "-e ./code/pkg", "pkg @ file:code/pkg"])
def test_a_package_among_the_models_code_is_built_and_installed(
    *, line: str, store: Store, wheels: MakeWheel, package: Path, model_directory: Path, log: Path
) -> None:
    option = wheels("needed", "1.5")

    before = installed(store, logged(model_directory, option, line), log)
    (package / "backend.py").write_text(BACKEND.replace("SETTINGS", "CHANGED"))
    after = installed(store, logged(model_directory, option, line), log)

    assert before[f"{SITE}/pkg/__init__.py"] == "SETTINGS = {}\n"
    assert after[f"{SITE}/pkg/__init__.py"] == "CHANGED = {}\n"


def test_settings_of_one_package_reach_the_program_that_builds_it(
    store: Store, wheels: MakeWheel, package: Path, model_directory: Path, log: Path
) -> None:
    option = wheels("needed", "1.5")

    files = installed(store, logged(model_directory, option, "pkg @ ./code/pkg --config-settings speed=fast"), log)

    assert files[f"{SITE}/pkg/__init__.py"] == "SETTINGS = {'speed': 'fast'}\n"


def test_files_that_requirements_include_are_the_models(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    wheels("needed", "1.5")
    wheels("needed", "1.6")
    option = wheels("scorer", "2.0")
    (model_directory / "more.txt").write_text("needed\n-c bounds.txt\n")
    (model_directory / "bounds.txt").write_text("needed<1.6\n")

    assert pins(store, logged(model_directory, option, "scorer", "-r more.txt"), log) == (
        "needed==1.5",
        "scorer==2.0",
    )


@pytest.mark.parametrize("line", ["code/x.whl", "/dbfs/of/training/x.whl", "x @ file:///dbfs/of/training/x.whl"])
def test_a_file_that_the_model_does_not_have_is_named(
    line: str, store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    option = wheels("scorer", "2.0")

    with pytest.raises(PermanentError) as caught:
        environment.lock(store, logged(model_directory, option, line), BASE, pins=(), log=log)

    assert f"requirements.txt line 2: {line} names a file that the model does not have; log the" in str(caught.value)


def test_a_wheel_on_the_machine_that_builds_is_installed_as_pip_would(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    option = wheels("scorer", "2.0")
    line = str(tmp_path / "wheels" / "scorer-2.0-py3-none-any.whl")

    assert f"{SITE}/scorer/__init__.py" in installed(store, logged(model_directory, option, line), log)


def _digest(folder: Path, name: str) -> str:
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


@pytest.mark.usefixtures("nothing_else")
@pytest.mark.parametrize("way", ["option", "fragment", "included", "constraint"])
def test_a_package_that_is_not_the_one_with_the_given_hash_is_refused(
    *, way: str, store: Store, wheels: MakeWheel, index: Serve, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    option = wheels("scorer", "1.0")
    wheel = "scorer-1.0-py3-none-any.whl"
    url = index("wheels")
    right = _digest(tmp_path / "wheels", wheel)

    def model(digest: str) -> ModelInput:
        lines = {
            "option": ("scorer==1.0 \\", f"    --hash=sha256:{digest}  # from the index"),
            "fragment": (f"scorer @ {url}/{wheel}#sha256={digest}",),
            "included": ("-r hashed.txt",),
            "constraint": ("scorer",),
        }
        bounds = (f"scorer==1.0 --hash=sha256:{digest}",) if way == "constraint" else ()
        (model_directory / "hashed.txt").write_text(f"scorer==1.0 --hash=sha256:{digest}\n")
        return logged(model_directory, option, *lines[way], constraints=bounds)

    assert f"{SITE}/scorer/__init__.py" in installed(store, model(right), log)
    with pytest.raises(PermanentError, match=f"has the hash sha256:{right}, must be sha256:0+; see who changed"):
        environment.lock(store, model("0" * 64), BASE, pins=(), log=log)


def test_one_hash_asks_for_those_of_all_but_not_of_what_mlflow_installs_before(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    wheels("setuptools", "65.5.0")
    wheels("needed", "1.5")
    option = wheels("scorer", "1.0", requires=["needed"])
    lines = [
        f"{name} --hash=sha256:{_digest(tmp_path / 'wheels', name.replace('==', '-') + '-py3-none-any.whl')}"
        for name in ("scorer==1.0", "needed==1.5")
    ]
    first = ("setuptools==65.5.0",)

    assert len(pins(store, logged(model_directory, option, *lines, first=first), log)) == 3
    with pytest.raises(PermanentError, match=r"needed==1\.5 without a hash"):
        environment.lock(store, logged(model_directory, option, lines[0], first=first), BASE, pins=(), log=log)


def test_what_mlflow_builds_with_is_in_the_environment(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    """pkg_resources is a part of setuptools, and was until 82."""
    for version in ("65.5.0", "81.0.0", "82.0.0"):
        wheels("setuptools", version)
    option = wheels("scorer", "1.0")

    pinned = pins(store, logged(model_directory, option, "scorer", first=("setuptools==65.5.0",)), log)
    open_ = pins(store, logged(model_directory, option, "scorer", first=("setuptools",)), log)
    elsewhere = "setuptools==65.5.0 ; python_version < '3.9'"
    of_another_python = pins(store, logged(model_directory, option, "scorer", elsewhere, first=("setuptools",)), log)
    wished = pins(store, logged(model_directory, option, "scorer", "setuptools>80", first=("setuptools",)), log)

    assert pinned == ("scorer==1.0", "setuptools==65.5.0")
    assert open_ == wished == of_another_python == ("scorer==1.0", "setuptools==81.0.0")


def test_requirements_move_what_was_installed_before_them_and_nothing_more(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    for version in ("65.5.0", "80.0", "82.0.0"):
        wheels("setuptools", version)
    for version in ("1.26", "2.0"):
        wheels("numpy", version)
    option = wheels("scorer", "1.0", requires=["setuptools>=77,<82"])
    first = ("setuptools==65.5.0", "numpy==1.26.*")

    found = pins(store, logged(model_directory, option, "scorer", first=first), log)

    assert found == ("numpy==1.26", "scorer==1.0", "setuptools==80.0")


def test_a_package_of_conda_that_pypi_lacks_is_refused_by_its_name(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    option = wheels("scorer", "1.0")

    with pytest.raises(PermanentError, match=r"(?s)before the model's requirements \(conda\.yaml.*only-in-conda"):
        environment.lock(
            store, logged(model_directory, option, "scorer", first=("only-in-conda",)), BASE, pins=(), log=log
        )


def test_sources_are_built_where_the_model_forbids_wheels(
    *, store: Store, wheels: MakeWheel, package: Path, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    """The same packages are locked with and without; what is installed is not the same."""
    option = wheels("pkg", "0.3")
    with tarfile.open(tmp_path / "wheels" / "pkg-0.3.tar.gz", "w:gz") as archive:
        archive.add(package, "pkg-0.3")
        info = b"Metadata-Version: 2.1\nName: pkg\nVersion: 0.3\n"
        member = tarfile.TarInfo("pkg-0.3/PKG-INFO")
        member.size = len(info)
        archive.addfile(member, io.BytesIO(info))

    ready = installed(store, logged(model_directory, option, "pkg"), log)
    (model_directory / "how.txt").write_text("--no-binary pkg\n")
    built = installed(store, logged(model_directory, option, "-r how.txt", "pkg"), log)

    assert ready[f"{SITE}/pkg/__init__.py"] == "VERSION = '0.3'\n"
    assert built[f"{SITE}/pkg/__init__.py"] == "SETTINGS = {}\n"


def test_an_old_package_without_a_wheel_is_built_with_what_it_was_written_for(
    store: Store, wheels: MakeWheel, package: Path, model_directory: Path, log: Path
) -> None:
    """Its setup imports pkg_resources, which the newest setuptools does not have."""
    wheels("setuptools", "82.0.0")
    option = wheels("setuptools", "81.0.0", files={"pkg_resources.py": "\n"})
    (package / "pyproject.toml").write_text(PROJECT.replace("requires = []", 'requires = ["setuptools"]'))
    (package / "backend.py").write_text(f"import pkg_resources\n{BACKEND}")

    files = installed(store, logged(model_directory, option, "./code/pkg"), log)

    assert f"{SITE}/pkg/__init__.py" in files


def test_early_releases_and_older_wheels_are_taken_where_the_model_says_so(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    wheels("scorer", "1.0")
    option = wheels("scorer", "2.0rc1")
    wheels("pkg", "0.2")
    with tarfile.open(tmp_path / "wheels" / "pkg-0.3.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("pkg-0.3/PKG-INFO")
        info = b"Metadata-Version: 2.2\nName: pkg\nVersion: 0.3\n"
        member.size = len(info)
        archive.addfile(member, io.BytesIO(info))

    assert pins(store, logged(model_directory, option, "scorer"), log) == ("scorer==1.0",)
    assert pins(store, logged(model_directory, option, "--pre", "scorer"), log) == ("scorer==2.0rc1",)
    assert pins(store, logged(model_directory, option, "--prefer-binary", "pkg"), log) == ("pkg==0.2",)
    assert pins(store, logged(model_directory, option, "pkg"), log) == ("pkg==0.3",)


def test_markers_are_those_of_the_pod(store: Store, wheels: MakeWheel, model_directory: Path, log: Path) -> None:
    wheels("scorer", "1.0")
    option = wheels("other", "1.0")
    lines = ("scorer ; sys_platform == 'linux'", "other ; sys_platform == 'win32'", "gone ; python_version < '3.9'")

    assert pins(store, logged(model_directory, option, *lines), log) == ("scorer==1.0",)


@pytest.mark.usefixtures("nothing_else")
def test_a_machine_without_a_network_builds_from_a_folder_of_wheels(
    *,
    store: Store,
    wheels: MakeWheel,
    model_directory: Path,
    log: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheels("needed", "1.5", into=tmp_path / "wheelhouse")
    wheels("scorer", "2.0", requires=["needed"], into=tmp_path / "wheelhouse")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheelhouse"))

    assert f"{SITE}/needed/__init__.py" in installed(store, logged(model_directory, "scorer"), log)


def test_a_repository_is_installed_at_the_commit_that_it_had(
    *, store: Store, wheels: MakeWheel, package: Path, model_directory: Path, log: Path, tmp_path: Path
) -> None:
    option = wheels("needed", "1.5")
    repository = tmp_path / "repository"
    package.rename(repository)
    git = ["git", "-C", str(repository), "-c", "user.name=me", "-c", "user.email=me@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    files = installed(store, logged(model_directory, option, f"-e git+file://{repository}@main#egg=pkg"), log)

    assert files[f"{SITE}/pkg/__init__.py"] == "SETTINGS = {}\n"
    assert commit in files[f"opt/model/env/{environment.LOCK_FILE}"]


def test_a_package_that_came_as_a_file_is_listed_with_its_version(
    store: Store, wheels: MakeWheel, model_directory: Path, log: Path
) -> None:
    option = wheels("needed", "1.5")
    wheels("inside", "1.0", requires=["needed"], into=model_directory)
    model = logged(model_directory, option, "./inside-1.0-py3-none-any.whl")

    lock = environment.lock(store, model, BASE, pins=(), log=log)
    blob, _ = environment.environment_layer(store, lock, model, BASE, log=log)

    assert json.loads(blob.fact("unpinned")) == ["inside==1.0"]
    assert pins_of(lock) == ("needed==1.5",)
