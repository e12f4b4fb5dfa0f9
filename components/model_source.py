"""What a model URI names, found out from the tracking server before anything is built.

Everything in a ModelSource is plain data that does not move: an alias is followed once, and the artifact URI is the
store's own.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.contract.image import directory_listing, local_directory, model_identity

_BOUNDS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""A person waits for the preview: MLflow's own defaults try for minutes. What the user sets is kept."""

_FORMS: Final = "models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN_ID/PATH, or a directory on this machine"
_VERSION_URI: Final = re.compile(r"models:/([^/@]+)/(\d+)")
_ALIAS_URI: Final = re.compile(r"models:/([^/@]+)@([^/@]+)")
_LOGGED_URI: Final = re.compile(r"models:/(m-[0-9a-f]{32})")
_RUN_URI: Final = re.compile(r"runs:/([^/]+)/(.+)")
_SMALL_FILES: Final = ("requirements.txt", "constraints.txt", "python_env.yaml", "conda.yaml")


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """One model, resolved."""

    uri: str
    """What was asked for."""
    name: str
    """Registered model's name; for others a name made from the URI."""
    version: str
    """Registered version's number; empty for others."""
    version_name: str
    """DNS label that names the version's pods: `v7`, or `m-` and the start of the identity."""
    run_id: str
    """Run that logged it; empty when unknown."""
    artifact_uri: str
    """Where its files are; a path when they are on this machine."""
    tracking_uri: str
    """Server that hands out `artifact_uri`; empty when none is needed."""
    flavors: tuple[str, ...]
    python_version: str
    """Python that logged it, for example 3.11.7; empty when the model does not say."""
    requirements: tuple[str, ...]
    """Lines of its requirements file, or of the pip section of its conda.yaml."""
    constraints: tuple[str, ...]
    """Lines of its constraints file."""
    size_bytes: int
    """All of its files together."""
    identity: str
    """Digest as `contract.image.model_identity` defines it."""
    mlmodel: str
    """Text of its MLmodel file."""


def resolve(model_uri: str, tracking_uri: str = "") -> ModelSource:
    """Asks the tracking server (by default MLFLOW_TRACKING_URI) what `model_uri` is.

    Raises InputError with every fault of the model or the URI, PermanentError when it does not exist, TemporaryError
    when the server or the artifact store cannot be reached, after at most about half a minute.
    """
    tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    if urlsplit(tracking_uri).password is not None:
        hidden = re.sub(r"//[^@]*@", "//…@", tracking_uri)
        raise InputError(
            "model",
            [
                f"tracking_uri = {hidden!r} holds a password, which would be kept in the stack's state; set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead"
            ],
        )
    with _bounded(tracking_uri):
        directory = local_directory(model_uri)
        if directory is not None:
            return _local(model_uri, directory.absolute())
        if not model_uri.startswith(("models:/", "runs:/")):
            raise InputError("model", [f"model_uri = {model_uri!r}, must be {_FORMS}"])
        if not tracking_uri:
            raise InputError(
                "model", [f"model_uri = {model_uri!r} needs a tracking server; set tracking_uri or MLFLOW_TRACKING_URI"]
            )
        try:
            return _remote(model_uri, tracking_uri)
        except ImportError as error:
            raise PermanentError(
                f"tracking_uri = {tracking_uri!r} needs the package {error.name!r}, which is not installed here; "
                "install it (stores other than HTTP servers need the package mlflow)"
            ) from error


def _remote(model_uri: str, tracking_uri: str) -> ModelSource:
    with _explained(f"model_uri = {model_uri!r}", tracking_uri):
        client = MlflowClient(
            tracking_uri=tracking_uri, registry_uri=os.environ.get("MLFLOW_REGISTRY_URI", tracking_uri)
        )
    if match := _VERSION_URI.fullmatch(model_uri):
        name, version = match.groups()
    elif match := _ALIAS_URI.fullmatch(model_uri):
        name, version = match[1], _version_of_alias(client, match[1], match[2], tracking_uri)
    elif match := _LOGGED_URI.fullmatch(model_uri):
        with _explained(f"model_uri = {model_uri!r}", tracking_uri):
            logged = client.get_logged_model(match[1])
        return _from_store(
            model_uri,
            logged.artifact_location,
            tracking_uri,
            name=logged.name,
            version="",
            run_id=logged.source_run_id or "",
        )
    elif match := _RUN_URI.fullmatch(model_uri):
        with _explained(f"model_uri = {model_uri!r}", tracking_uri):
            location = _location_in_run(client, match[1], match[2].strip("/"))
        return _from_store(model_uri, location, tracking_uri, name=match[2], version="", run_id=match[1])
    else:
        raise InputError("model", [f"model_uri = {model_uri!r}, must be {_FORMS}"])
    with _explained(f"model_uri = {model_uri!r}", tracking_uri, missing=lambda: _why_missing(client, name, version)):
        found = client.get_model_version(name, version)
        location = client.get_model_version_download_uri(name, version)
    return _from_store(model_uri, location, tracking_uri, name=name, version=version, run_id=found.run_id or "")


def _location_in_run(client: MlflowClient, run_id: str, path: str) -> str:
    """MLflow 3 keeps models apart from the run's other artifacts, earlier versions among them."""
    run = client.get_run(run_id)
    models = client.search_logged_models([run.info.experiment_id], filter_string=f"source_run_id = '{run_id}'")
    named = [model.artifact_location for model in models if model.name == path]  # the latest first
    return str(named[0]) if named else f"{run.info.artifact_uri}/{path}"


def _version_of_alias(client: MlflowClient, name: str, alias: str, tracking_uri: str) -> str:
    def missing() -> str:
        aliases = sorted(client.get_registered_model(name).aliases)
        known = f"it has {', '.join(aliases)}" if aliases else "it has none"
        return f"the model {name!r} has no alias {alias!r}; {known}"

    with _explained(f"model_uri = 'models:/{name}@{alias}'", tracking_uri, missing=missing):
        return str(client.get_model_version_by_alias(name, alias).version)


def _why_missing(client: MlflowClient, name: str, version: str) -> str:
    client.get_registered_model(name)  # raises when it is the model that does not exist
    versions = sorted(int(found.version) for found in client.search_model_versions(f"name = '{name}'"))
    known = f"it has {', '.join(map(str, versions[-10:]))}" if versions else "it has none"
    return f"the model {name!r} has no version {version}; {known}"


def _from_store(
    model_uri: str, location: str, tracking_uri: str, *, name: str, version: str, run_id: str
) -> ModelSource:
    """Reads what is small and lists the rest."""
    with _explained(f"model_uri = {model_uri!r}", tracking_uri), tempfile.TemporaryDirectory() as scratch:
        store = get_artifact_repository(location, tracking_uri=tracking_uri)
        location = str(getattr(store, "artifact_uri", location)) if location.startswith("file:") else location
        listing = dict(_list(store))
        if "MLmodel" not in listing:
            raise PermanentError(
                f"model_uri = {model_uri!r} has no MLmodel file at {location}; name the directory that log_model made"
            )
        texts: dict[str, str] = {}
        for file in ("MLmodel", *_SMALL_FILES):
            if file in listing:
                path: str = store.download_artifacts(file, scratch)  # type: ignore[no-untyped-call]  # MLflow's own
                texts[file] = Path(path).read_text()
        directory = local_directory(location)
        if directory is not None and directory.is_dir():
            files = directory_listing(directory, hashed=True)
        else:
            hashes = {"MLmodel": dict(_hashed(Path(scratch)))["MLmodel"]}
            files = [(path, size, hashes.get(path, "")) for path, size in listing.items()]
    return _described(
        model_uri,
        texts,
        files,
        name=name,
        version=version,
        run_id=run_id,
        artifact_uri=location,
        tracking_uri=tracking_uri,
    )


def _hashed(directory: Path) -> Iterator[tuple[str, str]]:
    for path, _, digest in directory_listing(directory, hashed=False):
        yield path, digest


def _local(model_uri: str, directory: Path) -> ModelSource:
    if not (directory / "MLmodel").is_file():
        raise InputError("model", [f"model_uri = {model_uri!r}: {directory / 'MLmodel'} does not exist; give {_FORMS}"])
    texts = {
        file: (directory / file).read_text() for file in ("MLmodel", *_SMALL_FILES) if (directory / file).is_file()
    }
    return _described(
        model_uri,
        texts,
        directory_listing(directory, hashed=True),
        name=directory.name,
        version="",
        run_id="",
        artifact_uri=str(directory),
        tracking_uri="",
    )


def _described(
    model_uri: str,
    texts: Mapping[str, str],
    files: list[tuple[str, int, str]],
    *,
    name: str,
    version: str,
    run_id: str,
    artifact_uri: str,
    tracking_uri: str,
) -> ModelSource:
    mlmodel = _mapping(texts["MLmodel"])
    flavors = tuple(sorted(mlmodel.get("flavors") or {}))
    if not {"python_function", "onnx", "transformers"} & set(flavors):
        raise InputError(
            "model",
            [
                f"model_uri = {model_uri!r} has the flavors {', '.join(flavors) or '(none)'}, and only models with the "
                "flavor python_function can be served (Triton serves onnx alone, vLLM transformers alone); "
                "log it with an MLflow flavor module or mlflow.pyfunc"
            ],
        )
    identity = model_identity(files)
    return ModelSource(
        uri=model_uri,
        name=name,
        version=version,
        version_name=f"v{version}" if version else f"m-{identity[:10]}",
        run_id=run_id,
        artifact_uri=artifact_uri,
        tracking_uri=tracking_uri,
        flavors=flavors,
        python_version=_python_version(mlmodel, texts),
        requirements=_requirements(texts),
        constraints=tuple(texts.get("constraints.txt", "").splitlines()),
        size_bytes=sum(size for _, size, _ in files),
        identity=identity,
        mlmodel=texts["MLmodel"],
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


def _requirements(texts: Mapping[str, str]) -> tuple[str, ...]:
    if "requirements.txt" in texts:
        return tuple(texts["requirements.txt"].splitlines())
    for line in _mapping(texts.get("conda.yaml", "")).get("dependencies") or []:
        if isinstance(line, dict) and "pip" in line:
            return tuple(str(requirement) for requirement in line["pip"])
    return ()


def _mapping(text: str) -> dict[str, Any]:
    value = yaml.safe_load(text) if text else None
    return value if isinstance(value, dict) else {}


def _list(store: ArtifactRepository, path: str | None = None) -> Iterator[tuple[str, int]]:
    """Files below `path` with their sizes; paths relative to the model's directory."""
    for info in store.list_artifacts(path):
        if info.is_dir:
            yield from _list(store, info.path)
        else:
            yield info.path, int(info.file_size or 0)


@contextmanager
def _bounded(tracking_uri: str) -> Iterator[None]:
    """MLflow reads its bounds, and the server that a runs:/ URI means, from the environment."""
    added = {key: value for key, value in _BOUNDS.items() if key not in os.environ}
    if tracking_uri:
        added["MLFLOW_TRACKING_URI"] = tracking_uri
    before = {key: os.environ.get(key) for key in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextmanager
def _explained(subject: str, tracking_uri: str, missing: Any = None) -> Iterator[None]:
    """Turns MLflow's and the network's errors into one sentence of ours."""
    try:
        yield
    except MlflowException as error:
        code = str(error.error_code)
        first = next(iter(str(error.message).strip().splitlines()), code)
        absent = code in {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"} or "not found" in first.lower()
        if absent:
            reason = first
            if missing is not None:
                try:
                    reason = missing()
                except MlflowException as cause:
                    reason = next(iter(str(cause.message).strip().splitlines()), first)
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
