"""A model's files: which they are, what they are known by, and the layer with them."""

import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from headrace.contract import names
from headrace.contract.errors import InputError, PermanentError, TemporaryError
from headrace.contract.weights import WeightsManifest
from headrace.images import compiled_code, credentials, weights
from headrace.images.logged_environment import FILES
from headrace.images.request import ModelInput
from headrace.images.requirements import CONSTRAINTS, REQUIREMENTS, parse
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import Entry, utf8_name, write_layer
from headrace.images.tracking import ArtifactStore

_RECIPE: Final = 2
_ALWAYS: Final = ("MLmodel", *FILES)
"""What builders and pods read of a model is in its image, however large."""


def local_directory(source: str) -> Path | None:
    """The directory that a model's source names on this machine (a path or a file: URI); None for a remote source."""
    if source.startswith("file:"):
        return Path(unquote(urlsplit(source).path))
    return Path(source) if "://" not in source and not re.match(r"[a-z][a-z0-9+.-]+:/", source) else None


def model_identity(files: Iterable[tuple[str, int, str]]) -> str:
    """Digest over a model's files, each `(path, size in bytes, digest or "")`.

    Digests are given for every file of a local directory, which may be edited in place, and for the MLmodel file, which
    names the logged model; a listing of a remote store has sizes only.
    """
    return hashlib.sha256(json.dumps(sorted(files), separators=(",", ":")).encode()).hexdigest()


def directory_listing(directory: Path, *, hashed: bool) -> list[tuple[str, int, str]]:
    """The files below `directory` as `model_identity` takes them; without `hashed` only MLmodel has a digest.

    Raises PermanentError where `contents` does.
    """
    listing = []
    for name, path, found in contents(directory):
        if stat.S_ISREG(found.st_mode):
            digest = ""
            if hashed or name == "MLmodel":
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            listing.append((name, found.st_size, digest))
    return listing


def contents(directory: Path) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Relative name, path and status of every file and folder below `directory`, with links followed: the layer has
    what a link leads to, wherever that is. A snapshot of the Hugging Face Hub links to files beside it.

    Raises PermanentError for a link that leads nowhere or to a folder around it, and for what is no file.
    """
    yield from _below(directory, "", directory, (os.path.realpath(directory),))


def _below(
    folder: Path, prefix: str, directory: Path, around: tuple[str, ...]
) -> Iterator[tuple[str, Path, os.stat_result]]:
    for path in sorted(folder.iterdir()):
        name = prefix + utf8_name(path.name)
        subject = f"The model's directory {directory} has the symbolic link {name} to {_target(path)}"
        try:
            found = path.stat()
        except OSError as error:
            if not path.is_symlink():
                raise
            why = "leads back to itself" if error.errno == errno.ELOOP else "does not exist"
            raise PermanentError(f"{subject}, which {why}; put the file there or remove the link") from error
        if stat.S_ISDIR(found.st_mode):
            real = os.path.realpath(path)
            if real in around:
                raise PermanentError(f"{subject}, a folder that holds the link itself; remove the link")
            yield name, path, found
            yield from _below(path, f"{name}/", directory, (*around, real))
        elif stat.S_ISREG(found.st_mode):
            yield name, path, found
        else:
            raise PermanentError(
                f"The model's directory {directory} has {name}, which is no file and no folder; remove it"
            )


def _target(path: Path) -> str:
    return utf8_name(os.readlink(path)) if path.is_symlink() else ""


def model_layer(store: Store, model: ModelInput, *, log: Path) -> tuple[Blob, bool]:
    """The model at names.MODEL_HOME, without the passwords in the files that say what it needs. Its fact `machines` has
    what `compiled_code.machines` finds, where there is any.

    Its weights are links where `model.streamed_bytes` tells them from other files.
    Raises TemporaryError when it cannot be downloaded, PermanentError when it is not what was resolved.
    """

    def make(scratch: Path) -> Blob:
        directory, listed = local_directory(model.source), WeightsManifest(files=())
        hashed = directory is not None
        if directory is None:
            directory, listed = _download(store, model, scratch, log=log)
        elif not directory.is_dir():
            raise PermanentError(
                f"The model's directory {directory} does not exist on this machine; log the model again"
            )
        compiled = compiled_code.machines(directory)
        entries = [*_entries(directory), *(weights.entries(listed) if listed.files else ())]
        blob = write_layer(store, entries, facts={"machines": json.dumps(compiled)} if compiled else None)
        elsewhere = [(file.path, file.size, "") for file in listed.files]
        found = model_identity([*directory_listing(directory, hashed=hashed), *elsewhere])
        if found != model.identity:
            raise PermanentError(
                f"The model at {model.source} changed while it was read (identity {found[:12]}, expected "
                f"{model.identity[:12]}); run pulumi up again, and do not overwrite artifacts of a logged model"
            )
        return blob

    streamed = [model.streamed_bytes] if model.streamed_bytes else []
    return store.layer(key_of("model", _RECIPE, model.identity, *streamed), make)


def fetch(model: ModelInput, wanted: Sequence[str], target: Path, *, log: Path) -> None:
    """Copies files of the model, and all files below folders of it, to the same place below `target`.

    `wanted` are paths relative to the model; what it does not have is not copied. Raises as `model_layer` does.
    """

    def is_wanted(name: str) -> bool:
        return any(path in {name, "."} or name.startswith(f"{path}/") for path in wanted)

    directory = local_directory(model.source)
    if directory is not None:
        if directory.is_dir():
            for name, path, found in contents(directory):
                if stat.S_ISREG(found.st_mode) and is_wanted(name):
                    _copy(path, target / name)
        return
    with _downloading(model, log=log) as store:
        for name in [name for name, _ in store.files() if is_wanted(name)]:
            fetched = store.fetch(name, target)
            if fetched != target / name:
                _copy(fetched, target / name)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _entries(directory: Path) -> Iterator[Entry]:
    with_addresses = {*FILES, *_included(directory)}
    for name, path, found in contents(directory):
        target = f"{names.MODEL_HOME.lstrip('/')}/{name}"
        if stat.S_ISDIR(found.st_mode):
            yield Entry(path=target, mode=0o755)
            continue
        mode = 0o755 if found.st_mode & 0o100 else 0o644
        if name in with_addresses:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            redacted = credentials.redact(text)
            if redacted != text:
                yield Entry(path=target, mode=mode, data=redacted.encode("utf-8", "surrogateescape"))
                continue
        yield Entry(path=target, mode=mode, source=path)


def _included(directory: Path) -> list[str]:
    """Files that the model's requirements include."""

    def lines(name: str) -> list[str]:
        path = directory / name
        return path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []

    try:
        return parse(lines(REQUIREMENTS), lines(CONSTRAINTS), lambda name: "\n".join(lines(name))).files
    except InputError:
        return []  # where it matters it was told: an engine does without the model's requirements


def _download(store: Store, model: ModelInput, scratch: Path, *, log: Path) -> tuple[Path, WeightsManifest]:
    """The directory with the model's files, but its weights, and the list of those."""
    target = scratch / "model"
    target.mkdir()
    with _downloading(model, log=log) as artifacts:
        if not model.streamed_bytes:
            return artifacts.fetch_all(target), WeightsManifest(files=())
        files = list(artifacts.files())
        large = [(path, size) for path, size in files if size >= model.streamed_bytes and path not in _ALWAYS]
        for path in sorted({path for path, _ in files} - {path for path, _ in large}):
            fetched = artifacts.fetch(path, target)
            if fetched != target / path:
                _copy(fetched, target / path)
        return target, weights.read_once(store, artifacts, large, model=model.identity, source=model.source)


@contextmanager
def _downloading(model: ModelInput, *, log: Path) -> Iterator[ArtifactStore]:
    from headrace.images import tracking, tracking_server  # noqa: PLC0415 -- an HTTP client, 0.1 s that only a download needs

    with log.open("a", encoding="utf-8") as file:
        file.write(f"download {model.source} from tracking server {model.tracking_uri or '(none)'}\n")
    try:
        yield tracking_server.artifact_store(model.source, model.tracking_uri)
    except (tracking.TrackingError, OSError, ImportError) as error:
        lines = str(error).strip().splitlines()
        raise TemporaryError(
            f"The model's artifacts at {model.source} cannot be downloaded: "
            f"{lines[0] if lines else type(error).__name__}; "
            "see that this machine reaches the artifact store and has its client library and credentials"
        ) from error
