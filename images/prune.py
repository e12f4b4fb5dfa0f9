"""Keeping the cache bounded: what no build has used for a month goes."""

import json
import shutil
import time
from pathlib import Path
from typing import Final

from headrace.images.store import Store

UNUSED_SECONDS: Final = 30 * 24 * 3600.0
"""A rollback further back than this builds again."""
_EVERY_SECONDS: Final = 24 * 3600.0
_YOUNG_SECONDS: Final = 24 * 3600.0
"""A blob without a recipe may belong to a build that runs; none runs for a day."""


def prune(store: Store, *, now: float | None = None) -> int:
    """Removes recipes unused for UNUSED_SECONDS and blobs that no recipe names; returns the bytes that were freed.

    Does nothing when it ran less than a day ago. A build beside it makes again what it misses.
    """
    moment = time.time() if now is None else now
    mark = store.root / "pruned"
    if mark.exists() and moment - mark.stat().st_mtime < _EVERY_SECONDS:
        return 0
    mark.touch()
    freed = 0
    for record in [*(store.root / "recipes").iterdir(), *(store.root / "directories").iterdir()]:
        if _age(record, moment) > UNUSED_SECONDS:
            freed += _remove(record)
    named = _named(store)
    for blob in (store.blobs / "sha256").iterdir():
        if f"sha256:{blob.name}" not in named and _age(blob, moment) > _YOUNG_SECONDS:
            freed += _remove(blob)
    return freed


def _named(store: Store) -> set[str]:
    """Digests that a recipe leads to: of layers, and of a copied base's layers."""
    found = set()
    for record in (store.root / "recipes").glob("*.[jt]*"):
        try:
            value = json.loads(record.read_text())
        except (OSError, ValueError):
            continue  # a lock, or gone meanwhile
        layers = value.get("layers", [value]) if isinstance(value, dict) else []
        found |= {str(layer["digest"]) for layer in layers if "digest" in layer}
    return found


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _remove(path: Path) -> int:
    if path.is_dir():
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        shutil.rmtree(path, ignore_errors=True)
        return size
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    return size
