"""A model that is tried: its files, its environment, and what would be deployed of it."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import uv
import yaml

from headrace.components.endpoint import model_source, sizing
from headrace.components.endpoint.model_image import image_request
from headrace.components.endpoint.model_source import ModelSource
from headrace.components.endpoint.runtime_choice import choose
from headrace.components.endpoint.selection.choice import RuntimeChoice
from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.images import environment as image_environment
from headrace.images import interpreter as image_interpreter
from headrace.images import model as image_model
from headrace.images import tracking_server
from headrace.images.request import ImageRequest, ModelInput
from headrace.images.store import Store, cache_directory, key_of
from headrace.images.tracking import TrackingError

_RECIPE: Final = 1
_DELIVERY: Final = {"kind": "registry", "repository": "localhost/tried"}
"""Nothing is delivered; a request names a place."""
INPUT_FILE: Final = "headrace_input.json"


class ModelFault(PermanentError):
    """The model cannot be served as it is."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment with what the model requires."""

    python: Path
    size_bytes: int
    note: str
    """What is not as in the pod; empty where nothing is."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One model, resolved."""

    source: ModelSource
    choice: RuntimeChoice
    given: bytes | None
    """A request in place of the model's input example."""
    store: Store

    @classmethod
    def resolved(cls, model_uri: str, tracking_uri: str, input_file: Path | None) -> "Candidate":
        """Asks the tracking server, where one is needed. Raises HeadraceError, ModelFault for what cannot be served."""
        given = None if input_file is None else _request_in(input_file)
        source = model_source.resolve(model_uri, tracking_uri)
        try:
            choice = choose(source.mlmodel, {})
        except InputError as error:
            raise ModelFault(str(error)) from error
        if choice.engine is not None:
            reasons = "; ".join(choice.reasons)
            raise PermanentError(
                f"model_uri = {model_uri!r} would be served by {choice.runtime} ({reasons}), which is not tried here; "
                "deploy it, and its pod proves it"
            )
        return cls(source=source, choice=choice, given=given, store=Store(cache_directory()))

    @property
    def allotment(self) -> sizing.Allotment:
        """What its pod would get."""
        source, choice = self.source, self.choice
        return sizing.allotment(choice.runtime, source.size_bytes, flavors=source.flavors, gpus=choice.gpus)

    @property
    def start_seconds(self) -> int:
        """How long its pod may take to answer."""
        return sizing.start_seconds(self.choice.runtime, self.source.size_bytes)

    @cached_property
    def request(self) -> ImageRequest:
        """The image that would be built."""
        return image_request(self.source, self.choice, delivery=_DELIVERY, base={})

    @property
    def _model(self) -> ModelInput:
        assert self.request.model is not None  # the image is a model's
        return self.request.model

    def environment(self) -> Environment:
        """Made as the image's is, once for all models with the same lock. Raises ModelFault where it cannot be."""
        store, log = self.store, self.store.new_log("try-environment")
        try:
            wanted = image_interpreter.interpreter(self._model, self.request.base)
            interpreter, minor, note = _interpreter(wanted.minor)
            # This machine's interpreter stands for the pod's, of the base or beside it.
            model, base = replace(self._model, python=minor), replace(self.request.base, python=minor)
            lock = image_environment.lock(store, model, base, pins=(), log=log, may_stage=False)

            def make(folder: Path) -> None:
                site = folder / "lib" / f"python{minor}" / "site-packages"
                site.mkdir(parents=True)
                (folder / "bin").mkdir()
                (folder / "bin" / "python").symlink_to(interpreter)
                settings = f"home = {interpreter.parent}\ninclude-system-site-packages = false\nversion = {minor}\n"
                (folder / "pyvenv.cfg").write_text(settings)
                with store.scratch() as scratch:
                    image_environment.install(
                        store, lock, model, base, into=site, scratch=scratch, log=log, may_stage=False
                    )

            made = store.directory(key_of("tried environment", _RECIPE, lock, str(interpreter), minor), make)
        except PermanentError as error:
            raise ModelFault(str(error)) from error
        size = sum(path.lstat().st_size for path in made.rglob("*") if path.is_file())
        return Environment(python=made / "bin" / "python", size_bytes=size, note=note)

    @contextmanager
    def files(self) -> Iterator[Path]:
        """The model's directory; with the given request as its example, where there is one."""
        directory = image_model.local_directory(self.source.artifact_uri)
        if directory is None:
            directory = self.store.directory(key_of("tried model", _RECIPE, self.source.identity), self._download)
        if self.given is None:
            yield directory
            return
        with tempfile.TemporaryDirectory(prefix="headrace-try-") as folder:
            beside = Path(folder)
            for path in directory.iterdir():
                if path.name != "MLmodel":
                    (beside / path.name).symlink_to(path)
            (beside / INPUT_FILE).write_bytes(self.given)
            example = {"artifact_path": INPUT_FILE, "serving_input_path": INPUT_FILE, "type": "json_object"}
            mlmodel = yaml.safe_load((directory / "MLmodel").read_text("utf-8"))
            text = yaml.safe_dump({**mlmodel, "saved_input_example_info": example}, sort_keys=False)
            (beside / "MLmodel").write_text(text, "utf-8")
            yield beside

    def _download(self, folder: Path) -> None:
        try:
            store = tracking_server.artifact_store(self.source.artifact_uri, self.source.tracking_uri)
            found = store.fetch_all(folder)
            if found.resolve() != folder.resolve():
                shutil.copytree(found, folder, dirs_exist_ok=True)
        except (TrackingError, OSError, ImportError) as error:
            said = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise TemporaryError(
                f"model_uri = {self.source.uri!r}: its files cannot be downloaded ({said}); see that this machine "
                "reaches the artifact store and has its client library and credentials"
            ) from error


def example_path(directory: Path) -> Path | None:
    """The file with the request of the model's input example; None where it was logged without one, or long ago."""
    mlmodel = yaml.safe_load((directory / "MLmodel").read_text("utf-8"))
    name = (mlmodel.get("saved_input_example_info") or {}).get("serving_input_path")
    return directory / str(name) if name and (directory / str(name)).is_file() else None


def _request_in(path: Path) -> bytes:
    try:
        text = path.read_bytes()
        json.loads(text)
    except OSError as error:
        raise InputError("try", [f"--input = {path}, cannot be read ({error.strerror}); name a file"]) from error
    except ValueError as error:
        raise InputError(
            "try", [f"--input = {path}, must hold a JSON request as POST /invocations takes it ({error})"]
        ) from error
    return text


def _interpreter(minor: str) -> tuple[Path, str, str]:
    """An interpreter of that minor version, which uv finds; else the one that runs here, and what is to be said."""
    find = [uv.find_uv_bin(), "python", "find", "--system", "--no-python-downloads", minor]
    done = subprocess.run(find, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout.strip():
        return Path(done.stdout.strip()), minor, ""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(getattr(sys, "_base_executable", sys.executable))
    return base, here, f"no Python {minor} was found on this machine: it was tried with {here}, and its pod has {minor}"
