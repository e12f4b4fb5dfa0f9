"""What a model URI names, found out from the tracking server before anything is built.

Everything in a ModelSource is plain data that does not move: an alias, a stage and `latest` are followed once, and the
artifact URI is the store's own.
"""

import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import yaml

from headrace.components.endpoint import registry_faults
from headrace.contract.errors import HeadraceError, InputError, PermanentError
from headrace.images import logged_environment, tracking_server, uv_lock
from headrace.images.model import directory_listing, local_directory, model_identity
from headrace.images.tracking import LoggedModel, TrackingServer

_SIDE_BY_SIDE: Final = 8
"""Models resolved at a time: each is a dozen small requests, one after the other."""
_FORMS: Final = (
    "models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest, models:/NAME/STAGE, models:/MODEL_ID, "
    "runs:/RUN_ID/PATH, the URI of a directory in an artifact store such as s3://BUCKET/PATH, or a directory on this "
    "machine"
)
_SUFFIX_URI: Final = re.compile(r"models:/(?://)?([^/]+)/([^/]+)")
"""As MLflow has it: the suffix is a version, `latest` in any case, or a stage."""
_ALIAS_URI: Final = re.compile(r"models:/(?://)?([^/]+)@([^/@]+)")
_LOGGED_URI: Final = re.compile(r"models:/(?://)?(m-[0-9a-f]{32})")
_RUN_URI: Final = re.compile(r"runs:/(?://)?([^/]+)/(.+)")
_OF_TRACKING_SERVERS: Final = frozenset({"mlflow-artifacts", "dbfs"})
"""Schemes of artifact URIs that a tracking server hands out."""
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
    is_locked: bool = False
    """Whether it has a uv.lock."""
    conda: tuple[str, ...] = ()
    """What its conda.yaml asks of conda itself."""
    notes: tuple[str, ...] = ()
    """Sentences on what its environment will have otherwise than in training."""

    @property
    def pinned_uri(self) -> str:
        """A registered model's version where `uri` has an alias, a stage or `latest`, which move; else `uri`."""
        asked = self.uri.rstrip("/")
        named = _SUFFIX_URI.fullmatch(asked) or _ALIAS_URI.fullmatch(asked)
        return self.uri if named is None else f"models:/{named[1]}/{self.version_name.removeprefix('v')}"


def resolve(model_uri: str, tracking_uri: str = "") -> ModelSource:
    """Asks the tracking server (by default MLFLOW_TRACKING_URI) what `model_uri` is.

    Raises InputError with every fault of the model or the URI, PermanentError when it does not exist, TemporaryError
    when the server or the artifact store cannot be reached, after at most about half a minute.
    """
    tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")
    _require_no_password("tracking_uri", tracking_uri, "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
    if urlsplit(tracking_uri).scheme == "databricks-uc" or tracking_uri == "databricks-uc":
        raise _refused(
            f"tracking_uri = {tracking_uri!r} is a registry's, must be a tracking server's; set it to 'databricks', "
            "whose registry is the Unity Catalog (another one: MLFLOW_REGISTRY_URI)"
        )
    directory = local_directory(model_uri)
    if directory is not None:
        return _local(model_uri, directory.absolute())
    _require_no_password("model_uri", model_uri, "what the artifact store's own client reads")
    scheme = urlsplit(model_uri).scheme
    if not tracking_uri and scheme in {"models", "runs", *_OF_TRACKING_SERVERS}:
        raise _refused(f"model_uri = {model_uri!r} needs a tracking server; set tracking_uri or MLFLOW_TRACKING_URI")
    if scheme in {"models", "runs"}:
        return _named(model_uri, tracking_uri)
    return _stored(model_uri, tracking_uri if scheme in _OF_TRACKING_SERVERS else "")


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


def _require_no_password(name: str, uri: str, instead: str) -> None:
    if urlsplit(uri).password is not None:
        hidden = re.sub(r"//[^@]*@", "//…@", uri)
        raise _refused(
            f"{name} = {hidden!r} holds a password, which would be kept in the stack's state; set {instead} instead"
        )


def _named(model_uri: str, tracking_uri: str) -> ModelSource:
    """The model that a tracking server knows by this name."""
    subject, asked = f"model_uri = {model_uri!r}", model_uri.rstrip("/")
    logged, run = _LOGGED_URI.fullmatch(asked), _RUN_URI.fullmatch(asked)
    registered = _SUFFIX_URI.fullmatch(asked) or _ALIAS_URI.fullmatch(asked)
    if logged is None and run is None and registered is None:
        raise _refused(f"{subject}, must be {_FORMS}")
    with registry_faults.of_server(subject, tracking_uri):
        server = tracking_server.tracking_server(tracking_uri)
        if logged is not None:
            return _from_store(model_uri, server.logged_model(logged[1]), tracking_uri)
        if run is not None:
            return _from_store(model_uri, server.model_of_run(run[1], run[2].strip("/")), tracking_uri)
    assert registered is not None
    name, version = registered[1], _version(server, asked, subject, tracking_uri)
    with registry_faults.of_server(subject, tracking_uri, missing=lambda: _why_missing(server, name, version)):
        found = server.version(name, version)
    return _from_store(model_uri, found, tracking_uri, version=version)


def _version(server: TrackingServer, asked: str, subject: str, tracking_uri: str) -> str:
    """Number of the version that a registered model's URI names."""
    if match := _ALIAS_URI.fullmatch(asked):
        name, alias = match.groups()

        def missing() -> str:
            aliases = server.aliases(name)
            known = f"it has {', '.join(aliases)}" if aliases else "it has none"
            return f"the model {name!r} has no alias {alias!r}; {known}"

        with registry_faults.of_server(subject, tracking_uri, missing=missing):
            return server.version_of_alias(name, alias)
    match = _SUFFIX_URI.fullmatch(asked)
    assert match is not None
    name, suffix = match.groups()
    if re.fullmatch("[0-9]+", suffix):
        return str(int(suffix))
    newest = suffix.lower() == "latest"
    with registry_faults.of_server(subject, tracking_uri):
        versions = server.versions(name) if newest else server.versions_in_stage(name, suffix)
        if versions:
            return str(max(versions))
        lacks = f"the model {name!r} has no version" if newest else _why_missing(server, name, f"in the stage {suffix}")
    raise PermanentError(f"{subject} does not exist on the tracking server {tracking_uri}: {lacks}")


def _stored(model_uri: str, tracking_uri: str) -> ModelSource:
    """The model in a directory of an artifact store."""
    subject, location = f"model_uri = {model_uri!r}", model_uri.rstrip("/")
    with registry_faults.of_store(subject, location):
        if not tracking_server.known_scheme(location):
            raise _refused(f"{subject}, must be {_FORMS}")
    found = LoggedModel(name=unquote(urlsplit(location).path).rpartition("/")[2], location=location)
    return _from_store(model_uri, found, tracking_uri)


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
        subject = f"model_uri = {model_uri!r}"
        with registry_faults.of_store(subject, found.location), tempfile.TemporaryDirectory() as scratch:
            store = tracking_server.artifact_store(found.location, tracking_uri)
            listing = dict(store.files())
            fetched = [store.fetch(file, Path(scratch)) for file in _SMALL_FILES if file in listing]
            texts = {path.name: path.read_text("utf-8") for path in fetched}
            hashes = {path: digest for path, _, digest in directory_listing(Path(scratch), hashed=False)}
            files = [(path, size, hashes.get(path, "")) for path, size in listing.items()]
    if "MLmodel" not in texts:
        remedy = "name the directory that log_model made"
        if directory is not None:
            remedy = "the tracking server keeps it on a disk that this machine does not have: let it hand out artifacts"
        raise PermanentError(f"model_uri = {model_uri!r} has no MLmodel file at {found.location}; {remedy}")
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
        conda=environment.conda,
        is_locked=any(path == uv_lock.FILE for path, _, _ in files),
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
