"""Holding: the server of a model keeps its weights from being removed for the room that other models need."""

import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Final

from headrace.contract.errors import PermanentError
from headrace.contract.weights import MANIFEST_PATH, WEIGHTS_HOME, WeightsManifest
from headrace.runtimes.pod.logs import tell_reason

log = logging.getLogger("headrace.weights")

_held: Final[list[int]] = []
"""Descriptors that stay open as long as the process lives, and its forks: with the last one the kernel lets go."""


def hold_all() -> bool:
    """Holds all weights of the image; False where one is gone, with the reason where the kubelet reads it."""
    try:
        manifest = WeightsManifest.from_json(json.loads(Path(MANIFEST_PATH).read_text("utf-8")))
        _held.extend(hold(manifest, Path(WEIGHTS_HOME)))
    except PermanentError as error:
        tell_reason(str(error), Path("/dev/termination-log"))
        return False
    return True


def hold(manifest: WeightsManifest, root: Path) -> list[int]:
    """Descriptors of the files below `root`, which are not removed while those are open.

    Raises PermanentError for a file that is not there.
    """
    held = []
    for digest, file in {file.digest: file for file in manifest.files}.items():
        try:
            descriptor = os.open(root / digest, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise PermanentError(
                f"The weights {file.path} are gone from this node's volume; delete the pod, whose successor copies them"
            ) from error
        held.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError as error:  # a network's file system may know no locks
            log.warning("the weights %s cannot be held: %s", file.path, error)
    return held
