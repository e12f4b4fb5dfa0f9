"""Models in directories with the packages that they ask for, and what is resolved and installed for them."""

import tarfile
from pathlib import Path
from typing import Any

from headrace.images import environment
from headrace.images.model import directory_listing, model_identity
from headrace.images.request import Base, BaseKind, ModelInput
from headrace.images.resolver import pins_of
from headrace.images.store import Store

SITE = "opt/model/env/lib/python3.11/site-packages"
BASE = Base(kind=BaseKind.REGISTRY, reference="python:3.11-slim", python_path="/usr/bin/python3.11")  # never copied
PASSWORD = "hunter2-of-the-index"


def logged(directory: Path, *requirements: str, constraints: tuple[str, ...] = (), **more: Any) -> ModelInput:
    """The model in `directory`, with these requirements."""
    identity = model_identity(directory_listing(directory, hashed=True))
    return ModelInput(
        source=str(directory),
        identity=identity,
        python="3.11.7",
        requirements=requirements,
        constraints=constraints,
        **more,
    )


def pins(store: Store, model: ModelInput, log: Path) -> tuple[str, ...]:
    """The `name==version` of everything that the environment would have."""
    return pins_of(environment.lock(store, model, BASE, pins=(), log=log))


def installed(store: Store, model: ModelInput, log: Path) -> dict[str, str]:
    """Every file of the environment and its text."""
    lock = environment.lock(store, model, BASE, pins=(), log=log)
    blob, _ = environment.environment_layer(store, lock, model, BASE, log=log)
    with tarfile.open(store.path(blob.digest)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        return {name: file.read().decode("utf-8", "replace") for name, file in files.items() if file is not None}


def with_password(store: Store, log: Path) -> list[Path]:
    """What is kept and has the password: layers, locks, recipes, logs."""
    kept = [log, *(path for name in ("blobs", "recipes", "logs") for path in (store.root / name).rglob("*"))]
    return [path for path in kept if path.is_file() and PASSWORD.encode() in path.read_bytes()]
