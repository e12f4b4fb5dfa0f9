"""A model's files: which they are, what they are known by, and the layer with them."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from headrace.contract import names
from headrace.contract.errors import PermanentError, TemporaryError
from headrace.images.request import ModelInput
from headrace.images.store import Blob, Store, key_of
from headrace.images.tarball import tree, utf8_name, write_layer

_RECIPE: Final = 1


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
    """The files below `directory` as `model_identity` takes them; without `hashed` only MLmodel has a digest."""
    listing = []
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            name = utf8_name(path.relative_to(directory).as_posix())
            digest = ""
            if hashed or name == "MLmodel":
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            listing.append((name, path.stat().st_size, digest))
    return listing


def model_layer(store: Store, model: ModelInput, *, log: Path) -> tuple[Blob, bool]:
    """The model at names.MODEL_HOME.

    Raises TemporaryError when it cannot be downloaded, PermanentError when it is not what was resolved.
    """

    def make(scratch: Path) -> Blob:
        directory = local_directory(model.source)
        hashed = directory is not None
        if directory is None:
            directory = _download(model, scratch, log=log)
        elif not directory.is_dir():
            raise PermanentError(
                f"The model's directory {directory} does not exist on this machine; log the model again"
            )
        blob = write_layer(store, tree(directory, names.MODEL_HOME.lstrip("/")))
        found = model_identity(directory_listing(directory, hashed=hashed))
        if found != model.identity:
            raise PermanentError(
                f"The model at {model.source} changed while it was read (identity {found[:12]}, expected "
                f"{model.identity[:12]}); run pulumi up again, and do not overwrite artifacts of a logged model"
            )
        return blob

    return store.layer(key_of("model", _RECIPE, model.identity), make)


def _download(model: ModelInput, scratch: Path, *, log: Path) -> Path:
    from headrace.images import tracking, tracking_server  # noqa: PLC0415 -- an HTTP client, 0.1 s that only a download needs

    target = scratch / "model"
    target.mkdir()
    with log.open("a", encoding="utf-8") as file:
        file.write(f"download {model.source} from tracking server {model.tracking_uri or '(none)'}\n")
    try:
        return tracking_server.artifact_store(model.source, model.tracking_uri).fetch_all(target)
    except (tracking.TrackingError, OSError, ImportError) as error:
        lines = str(error).strip().splitlines()
        raise TemporaryError(
            f"The model's artifacts at {model.source} cannot be downloaded: "
            f"{lines[0] if lines else type(error).__name__}; "
            "see that this machine reaches the artifact store and has its client library and credentials"
        ) from error
