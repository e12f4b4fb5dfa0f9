"""docs/languages.md: the same platform and endpoint in every language, checked by that language's own compiler."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import npm_packages
import pytest

from headrace.local.sdk import Language, write_sdk
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "languages.md").read_text()
PROGRAMS = {
    "python": ROOT / "examples" / "01-one-model" / "__main__.py",
    "typescript": ROOT / "examples" / "12-typescript" / "index.ts",
    "go": ROOT / "examples" / "13-go" / "main.go",
    "yaml": ROOT / "examples" / "04-yaml" / "Pulumi.yaml",
}
GO_SETTINGS = {"CGO_ENABLED": "0", "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly", "GOTOOLCHAIN": "local"}
PYTHON = """
import json
from headrace.components.testing import record


def program() -> None:
    import pulumi
    import pulumi_headrace as headrace

    platform = headrace.ServingPlatform("platform", host="models.example.com")
    fraud = headrace.ModelEndpoint("fraud", platform=platform.ref, model_uri="models:/fraud/7")
    pulumi.export("url", fraud.url)


ref = {"namespace": "serving"}
found = record(
    program, answers={"headrace:index:ServingPlatform": {"ref": ref}, "headrace:index:ModelEndpoint": {"url": "u"}}
)
print(json.dumps([found.exports["url"], found.named("fraud").inputs]))
"""


TYPED = """
import pulumi
import pulumi_headrace as headrace

delivery = headrace.ImageDeliveryArgs(kind="registry", repository="registry.example.com/models")
platform = headrace.ServingPlatform("platform", host="models.example.com", image_delivery=delivery)
fraud = headrace.ModelEndpoint("fraud", platform=platform.ref, model_uri="models:/fraud/7")
pulumi.export("url", fraud.url)
"""


@pytest.mark.parametrize("language", PROGRAMS)
def test_the_page_shows_each_program_word_for_word(language: str) -> None:
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    assert PROGRAMS[language].read_text() in blocks


def example(language: Language, folder: Path) -> Path:
    """A copy of the language's example with its SDK."""
    copy = folder / "program"
    shutil.copytree(PROGRAMS[language].parent, copy, ignore=shutil.ignore_patterns("sdks", "node_modules", "bin"))
    write_sdk(language, copy / "sdks" / "headrace", quiet())
    return copy


def quiet() -> Progress:
    return Progress("test", steps=1, stream=Path(os.devnull).open("w"))


@pytest.mark.slow
def test_typescript_takes_the_program_and_names_what_is_wrong_with_another(tmp_path: Path) -> None:
    program = example(Language.TYPESCRIPT, tmp_path)
    packages = npm_packages.installed(program)
    local = program / "node_modules"
    (local / "@pulumi").mkdir(parents=True)
    (local / "@types").symlink_to(packages / "@types")
    (local / "@pulumi" / "pulumi").symlink_to(packages / "@pulumi" / "pulumi")
    (local / "@pulumi" / "headrace").symlink_to(program / "sdks" / "headrace")
    right = (program / "index.ts").read_text()
    (program / "wrong.ts").write_text(right.replace("modelUri:", "modelName:"))
    settings = (program / "tsconfig.json").read_text()
    (program / "tsconfig.json").write_text(settings.replace('["index.ts"]', '["index.ts", "wrong.ts"]'))

    compiler = [npm_packages.node()[0], packages / "typescript" / "bin" / "tsc", "--noEmit", "--pretty", "false"]
    done = subprocess.run(compiler, cwd=program, capture_output=True, text=True, check=False)

    (fault,) = done.stdout.splitlines()
    assert fault.startswith("wrong.ts(")
    assert "'modelName' does not exist in type 'ModelEndpointArgs'" in fault


@pytest.mark.slow
def test_go_takes_the_program_and_names_what_is_wrong_with_another(tmp_path: Path) -> None:
    program = example(Language.GO, tmp_path)
    vet = [builder.go_command(), "vet", "."]
    environment = {**os.environ, **GO_SETTINGS}

    right = subprocess.run(vet, cwd=program, env=environment, capture_output=True, text=True, check=False)
    assert (right.returncode, right.stderr) == (0, "")

    source = (program / "main.go").read_text()
    (program / "main.go").write_text(source.replace("ModelUri:", "ModelName:"))
    wrong = subprocess.run(vet, cwd=program, env=environment, capture_output=True, text=True, check=False)
    assert wrong.returncode != 0
    assert "unknown field ModelName in struct literal of type headrace.ModelEndpointArgs" in wrong.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SDK for Python, installed."""
    folder = tmp_path_factory.mktemp("python")
    write_sdk(Language.PYTHON, folder / "sdk", quiet())
    install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--no-deps", "--target", folder / "site"]
    subprocess.run([*install, folder / "sdk"], check=True)
    return folder / "site"


@pytest.mark.slow
def test_python_takes_the_program_and_names_what_is_wrong_with_others(site: Path, tmp_path: Path) -> None:
    """By mypy, in its strictest mode; the SDK says by py.typed that it has types."""
    programs = {
        "right.py": TYPED,
        "wrong_input.py": TYPED.replace("model_uri=", "model_name="),
        "wrong_field.py": TYPED.replace("repository=", "registry="),
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)

    check = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent", "--no-pretty"]
    environment = {**os.environ, "MYPYPATH": str(site)}
    done = subprocess.run(
        [*check, f"--cache-dir={tmp_path / 'cache'}", *programs],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    field, _, argument = sorted(line for line in done.stdout.splitlines() if ": error: " in line)
    assert (site / "pulumi_headrace" / "py.typed").is_file()
    assert field.startswith("wrong_field.py:")
    assert 'Unexpected keyword argument "registry" for "ImageDeliveryArgs"' in field
    assert argument.startswith("wrong_input.py:")
    assert 'Unexpected keyword argument "model_name" for overloaded function "ModelEndpoint"' in argument


@pytest.mark.slow
def test_a_program_with_the_python_sdk_asks_for_the_same_resources(site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-W", "ignore", "-c", PYTHON]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert '"modelUri": "models:/fraud/7"' in done.stdout
    assert '"platform": {"namespace": "serving"}' in done.stdout
