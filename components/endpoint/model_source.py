"""What a model URI names, found out from the tracking server before anything is built.

Everything in a ModelSource is plain data that does not move: an alias is followed once, and the artifact URI is the
store's own.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from headrace.contract.errors import HeadraceError, InputError, PermanentError, TemporaryError
from headrace.images import logged_environment, tracking_server
from headrace.images.model import directory_listing, local_directory, model_identity
from headrace.images.tracking import LoggedModel, TrackingError, TrackingServer

_SIDE_BY_SIDE: Final = 8
"""Models resolved at a time: each is a dozen small requests, one after the other."""
_FORMS: Final = "models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN_ID/PATH, or a directory on this machine"
_VERSION_URI: Final = re.compile(r"models:/([^/@]+)/(\d+)")
_ALIAS_URI: Final = re.compile(r"models:/([^/@]+)@([^/@]+)")
_LOGGED_URI: Final = re.compile(r"models:/(m-[0-9a-f]{32})")
_RUN_URI: Final = re.compile(r"runs:/([^/]+)/(.+)")
_SMALL_FILES: Final = ("MLmodel", *logged_environment.FILES)


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """One model, resolved."""

    uri: str
    """What was asked for."""
    name: str
    """Registered model's name; for others a name made from the URI."""
    version_name: str
    """DNS label that names the version's pods: `v7`, or `m-` and the start of the identity."""
    artifact_uri: str
    """Where its files are; a path when they are on this machine."""
    tracking_uri: str
    """Server that hands out `artifact_uri`; empty when none is needed."""
    flavors: tuple[str, ...]
    python_version: str
    """Python that logged it, for example 3.11.7; empty when the model does not say."""
    requirements: tuple[str, ...]
    """Lines of its requirements file, or of the pip section of its conda.yaml; passwords in them are hidden."""
    constraints: tuple[str, ...]
    """Lines of its constraints file."""
    size_bytes: int
    """All of its files together."""
    identity: str
    """Digest as `images.model.model_identity` defines it."""
    mlmodel: Mapping[str, Any]
    """Its MLmodel file, as JSON has it: a date is a text."""
    first: tuple[str, ...] = ()
    """Requirements that MLflow installs before those, which may move them."""
    notes: tuple[str, ...] = ()
    """Sentences on what its environment will have otherwise than in training."""


def resolve(model_uri: str, tracking_uri: str = "") -> ModelSource:
    """Asks the tracking server (by default MLFLOW_TRACKING_URI) what `model_uri` is.

    Raises InputError with every fault of the model or the URI, PermanentError when it does not exist, TemporaryError
    when the server or the artifact store cannot be reached, after at most about half a minute.
    """
    tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if urlsplit(tracking_uri).password is not None:
        hidden = re.sub(r"//[^@]*@", "//…@", tracking_uri)
        raise _refused(
            f"tracking_uri = {hidden!r} holds a password, which would be kept in the stack's state; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
        )
    directory = local_directory(model_uri)
    if directory is not None:
        return _local(model_uri, directory.absolute())
    if not model_uri.startswith(("models:/", "runs:/")):
        raise _refused(f"model_uri = {model_uri!r}, must be {_FORMS}")
    if not tracking_uri:
        raise _refused(f"model_uri = {model_uri!r} needs a tracking server; set tracking_uri or MLFLOW_TRACKING_URI")
    try:
        return _remote(model_uri, tracking_uri)
    except ImportError as error:
        raise PermanentError(
            f"tracking_uri = {tracking_uri!r} needs the package {error.name!r}, which is not installed here; "
            "install it (stores other than HTTP servers need the package mlflow)"
        ) from error


def resolve_all(models: Iterable[tuple[str, str]]) -> dict[tuple[str, str], ModelSource | HeadraceError]:
    """What `resolve` returns or raises for each pair of model URI and tracking URI; each is asked for once, some side
    by side."""

    def resolved(model: tuple[str, str]) -> ModelSource | HeadraceError:
        try:
            return resolve(*model)
        except HeadraceError as error:
            return error

    asked = tuple(dict.fromkeys(models))
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return dict(zip(asked, pool.map(resolved, asked), strict=True))


def _refused(fault: str) -> InputError:
    return InputError("model", [fault])


def _remote(model_uri: str, tracking_uri: str) -> ModelSource:
    subject = f"model_uri = {model_uri!r}"
    with _explained(subject, tracking_uri):
        server = tracking_server.tracking_server(tracking_uri)
        if match := _LOGGED_URI.fullmatch(model_uri):
            return _from_store(model_uri, server.logged_model(match[1]), tracking_uri)
        if match := _RUN_URI.fullmatch(model_uri):
            return _from_store(model_uri, server.model_of_run(match[1], match[2].strip("/")), tracking_uri)
    if match := _VERSION_URI.fullmatch(model_uri):
        name, version = match.groups()
    elif match := _ALIAS_URI.fullmatch(model_uri):
        name, version = match[1], _version_of_alias(server, match[1], match[2], tracking_uri)
    else:
        raise _refused(f"{subject}, must be {_FORMS}")
    with _explained(subject, tracking_uri, missing=lambda: _why_missing(server, name, version)):
        found = server.version(name, version)
    return _from_store(model_uri, found, tracking_uri, version=version)


def _version_of_alias(server: TrackingServer, name: str, alias: str, tracking_uri: str) -> str:
    def missing() -> str:
        aliases = server.aliases(name)
        known = f"it has {', '.join(aliases)}" if aliases else "it has none"
        return f"the model {name!r} has no alias {alias!r}; {known}"

    with _explained(f"model_uri = 'models:/{name}@{alias}'", tracking_uri, missing=missing):
        return server.version_of_alias(name, alias)


def _why_missing(server: TrackingServer, name: str, version: str) -> str:
    versions = server.versions(name)
    known = f"it has {', '.join(map(str, versions[-10:]))}" if versions else "it has none"
    return f"the model {name!r} has no version {version}; {known}"


def _from_store(model_uri: str, found: LoggedModel, tracking_uri: str, *, version: str = "") -> ModelSource:
    """Reads what is small and lists the rest."""
    directory = local_directory(found.location)
    if directory is not None and directory.is_dir():
        texts, files = _read(directory), directory_listing(directory, hashed=True)
    else:
        with _explained(f"model_uri = {model_uri!r}", tracking_uri), tempfile.TemporaryDirectory() as scratch:
            store = tracking_server.artifact_store(found.location, tracking_uri)
            listing = dict(store.files())
            fetched = [store.fetch(file, Path(scratch)) for file in _SMALL_FILES if file in listing]
            texts = {path.name: path.read_text("utf-8") for path in fetched}
            hashes = {path: digest for path, _, digest in directory_listing(Path(scratch), hashed=False)}
            files = [(path, size, hashes.get(path, "")) for path, size in listing.items()]
    if "MLmodel" not in texts:
        raise PermanentError(
            f"model_uri = {model_uri!r} has no MLmodel file at {found.location}; name the directory that log_model made"
        )
    return _described(model_uri, texts, files, found=found, version=version, tracking_uri=tracking_uri)


def _local(model_uri: str, directory: Path) -> ModelSource:
    texts = _read(directory)
    if "MLmodel" not in texts:
        raise _refused(f"model_uri = {model_uri!r}: {directory / 'MLmodel'} does not exist; give {_FORMS}")
    found = LoggedModel(name=directory.name, location=str(directory))
    return _described(model_uri, texts, directory_listing(directory, hashed=True), found=found)


def _read(directory: Path) -> dict[str, str]:
    return {file: (directory / file).read_text("utf-8") for file in _SMALL_FILES if (directory / file).is_file()}


def _described(
    model_uri: str,
    texts: Mapping[str, str],
    files: list[tuple[str, int, str]],
    *,
    found: LoggedModel,
    version: str = "",
    tracking_uri: str = "",
) -> ModelSource:
    mlmodel = _mapping(texts["MLmodel"])
    flavors = tuple(sorted(mlmodel.get("flavors") or {}))
    if not {"python_function", "onnx", "transformers"} & set(flavors):
        raise _refused(
            f"model_uri = {model_uri!r} has the flavors {', '.join(flavors) or '(none)'}, and only models with the "
            "flavor python_function can be served (Triton serves onnx alone, vLLM transformers alone); "
            "log it with an MLflow flavor module or mlflow.pyfunc"
        )
    identity = model_identity(files)
    environment = logged_environment.read(texts)
    return ModelSource(
        uri=model_uri,
        name=found.name,
        version_name=f"v{version}" if version else f"m-{identity[:10]}",
        artifact_uri=found.location,
        tracking_uri=tracking_uri,
        flavors=flavors,
        python_version=_python_version(mlmodel, texts),
        requirements=environment.requirements,
        constraints=environment.constraints,
        first=environment.first,
        notes=environment.notes,
        size_bytes=sum(size for _, size, _ in files),
        identity=identity,
        mlmodel=json.loads(json.dumps(mlmodel, default=str)),
    )


def _python_version(mlmodel: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """The most exact of the places where MLflow writes it."""
    logged = (mlmodel["flavors"].get("python_function") or {}).get("python_version")
    if logged is None:
        logged = _mapping(texts.get("python_env.yaml", "")).get("python")
    if logged is None:
        for line in _mapping(texts.get("conda.yaml", "")).get("dependencies") or []:
            if isinstance(line, str) and (match := re.fullmatch(r"python\s*=+\s*([\d.]+)", line)):
                logged = match[1]
    return "" if logged is None else str(logged)


def _mapping(text: str) -> dict[str, Any]:
    value = yaml.safe_load(text) if text else None
    return value if isinstance(value, dict) else {}


@contextmanager
def _explained(subject: str, tracking_uri: str, missing: Any = None) -> Iterator[None]:
    """Turns a tracking server's and the network's errors into one sentence of ours."""
    try:
        yield
    except TrackingError as error:
        code = error.code
        first = next(iter(str(error).strip().splitlines()), code)
        absent = code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"} or "not found" in first.lower()
        if absent:
            reason = first
            if missing is not None:
                try:
                    reason = missing()
                except TrackingError as cause:
                    reason = next(iter(str(cause).strip().splitlines()), first)
            raise PermanentError(f"{subject} does not exist on the tracking server {tracking_uri}: {reason}") from error
        if code in {"PERMISSION_DENIED", "UNAUTHENTICATED"} or re.search(r"error code 40[13]", first):
            raise PermanentError(
                f"{subject}: the tracking server {tracking_uri} refused access ({first}); set MLFLOW_TRACKING_TOKEN, "
                "or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            ) from error
        if code == "INVALID_PARAMETER_VALUE":
            raise PermanentError(f"{subject}: the tracking server {tracking_uri} refused it: {first}") from error
        raise TemporaryError(
            f"{subject}: the tracking server {tracking_uri} cannot be reached or failed ({_short(first)}); "
            "see that it runs and that tracking_uri is right"
        ) from error
    except OSError as error:
        raise TemporaryError(
            f"{subject}: its files cannot be read ({_short(str(error))}); "
            "see that this machine reaches the artifact store"
        ) from error


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"
