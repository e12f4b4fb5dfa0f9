"""Tools find `headrace.<folder>` by ordinary paths: docs/decisions/0702-where-code-lives.md."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKS = sorted((ROOT / "src" / "headrace").iterdir())
NOT_IN_THE_PACKAGE = {
    "bench": "measures the package",
    "docs": "read by people",
    "examples": "programs of users",
    "plugin": "Pulumi starts it by its folder",
    "policy": "Pulumi starts it by its folder, in an environment of its own",
    "src": "the links themselves",
    "tests": "tests of the package",
}
NO_CODE = {"locks": "lock files, which the image builder reads"}
FIND = """
import importlib.machinery, site, sys
site.addsitedir(sys.argv[1])
finder = importlib.machinery.PathFinder
package = finder.find_spec("headrace")
for folder in sys.argv[2:]:
    print(finder.find_spec(f"headrace.{folder}", package.submodule_search_locations).origin)
"""
RUN = """
import runpy, sys, warnings
warnings.simplefilter("ignore")
import stand_ins, yaml
import headrace.cli
assert headrace.cli.__file__.startswith(sys.argv[1]), headrace.cli.__file__
from headrace.components.endpoint import model_endpoint, model_source
from headrace.components.platform import serving_platform
from headrace.components.testing import record
model_endpoint.ModelImage, serving_platform.PlatformImage = stand_ins.StandInModelImage, stand_ins.StandInPlatformImage
model_source.resolve = stand_ins.resolve
config = yaml.safe_load(open("Pulumi.dev.yaml"))["config"]
print(record(lambda: runpy.run_path("__main__.py"), config=config, project="shop").exports["url"])
"""


def code_folders() -> list[str]:
    """Folders at the top of the checkout that git knows and that hold Python."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted({path.partition("/")[0] for path in listed.stdout.splitlines() if "/" in path})


def test_every_folder_of_code_has_its_link_and_every_link_its_folder() -> None:
    assert [link.name for link in LINKS if link.name not in NO_CODE] == [
        folder for folder in code_folders() if folder not in NOT_IN_THE_PACKAGE
    ]
    for link in LINKS:
        assert link.is_symlink()
        assert link.resolve() == ROOT / link.name


def test_a_line_in_a_pth_file_is_enough_to_find_every_folder(tmp_path: Path) -> None:
    """As `pip install -e .` writes it; static tools read the same line, and run no import hook."""
    (tmp_path / "headrace.pth").write_text(f"{ROOT / 'src'}\n")
    folders = [link.name for link in LINKS if link.name not in NO_CODE]

    bare = [sys.executable, "-I", "-S", "-c", FIND]  # without the environment, its site-packages and their hooks
    done = subprocess.run([*bare, tmp_path, *folders], capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.splitlines() == [str(ROOT / "src/headrace" / folder / "__init__.py") for folder in folders]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once."""
    made = tmp_path_factory.mktemp("wheel")
    checkout = made / "checkout"  # a copy: setuptools writes beside what it builds
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("src", *(link.name for link in LINKS)):
        shutil.copytree(ROOT / folder, checkout / folder, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    build = [sys.executable, "-m", "uv", "build", "-q", "--wheel", "--out-dir", made, checkout]
    subprocess.run(build, check=True)
    (found,) = made.glob("*.whl")
    return found


@pytest.mark.slow
def test_a_wheel_holds_every_module_once_and_no_test(wheel: Path) -> None:
    held = Counter(name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py"))

    modules = (f"headrace/{path.relative_to(ROOT)}" for link in LINKS for path in (ROOT / link.name).rglob("*.py"))
    assert held == Counter(modules)


@pytest.mark.slow
def test_what_a_wheel_holds_begins_a_project_whose_program_registers_an_endpoint(wheel: Path, tmp_path: Path) -> None:
    """As in an empty project of somebody without this checkout; what it depends on is this environment's."""
    site, project = tmp_path / "site", tmp_path / "shop"
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--offline", "--target", site, wheel]
    subprocess.run(install, check=True)
    alone = {**os.environ, "PYTHONPATH": f"{site}:{ROOT / 'tests'}"}
    begin = [sys.executable, "-P", "-m", "headrace.cli", "init", project]
    subprocess.run(begin, cwd=tmp_path, env=alone, check=True, capture_output=True)

    done = subprocess.run(
        [sys.executable, "-c", RUN, site], cwd=project, env=alone, check=False, capture_output=True, text=True
    )

    assert done.stderr == ""
    assert done.stdout.strip() == "https://models.example.com/serving-endpoints/fraud"
