"""SDKs of the components for programs in other languages, from `components/schema.json` by Pulumi's own generators."""

import json
import shutil
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError
from headrace.local.paths import CHECKOUT
from headrace.local.terminal_progress import Progress
from headrace.local.toolchain import builder
from headrace.local.toolchain.programs import SDK_GENERATOR

SCHEMA: Final = CHECKOUT / "components" / "schema.json"


class Language(StrEnum):
    """Languages with an SDK of their own; YAML needs none."""

    TYPESCRIPT = "typescript"
    GO = "go"
    PYTHON = "python"


Names = dict[str, dict[str, dict[str, tuple[str, str]]]]
"""inputs, outputs or fields -> token -> property -> its name and its type in the language."""

_GENERATOR_NAMES: Final = {Language.TYPESCRIPT: "nodejs", Language.GO: "go", Language.PYTHON: "python"}
_SIGNS: Final = {
    Language.TYPESCRIPT: ("package.json", '"name": "@pulumi/headrace"'),
    Language.GO: ("go.mod", "module headrace.dev/sdk/go"),
    Language.PYTHON: ("pyproject.toml", 'name = "pulumi_headrace"'),
}
"""The file, and what it holds, by which a folder is seen to be an SDK of Headrace."""


def write_sdk(language: Language, folder: Path, progress: Progress) -> None:
    """Writes the SDK into the folder, which may be absent, empty or hold an SDK of the same language, now replaced.

    Raises PermanentError where the folder holds anything else or cannot be written, and what `builder.ensure` raises
    where the generator cannot be built.
    """
    if folder.exists() and not _may_be_replaced(language, folder):
        raise PermanentError(
            f"--out = {str(folder)!r} holds something else, must be absent, empty or an SDK of Headrace for "
            f"{language.value}; name another folder or empty it"
        )
    generator = _generator(progress)
    partial = folder.with_name(f"{folder.name}.partial")
    with progress.step(f"write the SDK for {language.value}"):
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            _run([str(generator), "write", _GENERATOR_NAMES[language], str(SCHEMA), str(partial)])
            if folder.exists():
                shutil.rmtree(folder)
            partial.rename(folder)
        except OSError as error:
            raise PermanentError(
                f"--out = {str(folder)!r} cannot be written: {error.strerror}; name another folder"
            ) from error


def describe(language: Language, progress: Progress) -> Names:
    """What every input, output and field is called in TypeScript or Go, and its type there."""
    said = _run([str(_generator(progress)), "describe", _GENERATOR_NAMES[language], str(SCHEMA)])
    names: Names = json.loads(said)
    return names


def _may_be_replaced(language: Language, folder: Path) -> bool:
    if not folder.is_dir():
        return False
    file, sign = _SIGNS[language]
    return not any(folder.iterdir()) or ((folder / file).is_file() and sign in (folder / file).read_text())


def _generator(progress: Progress) -> Path:
    return builder.ensure(SDK_GENERATOR, progress) / "sdk-generator"


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PermanentError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}; report it")
    return done.stdout
