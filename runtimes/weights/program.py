"""The program: reads the image's list, sees that there is room, copies what is missing, and says what it did."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from headrace.contract.errors import HeadraceError, InputError
from headrace.contract.names import RUN_AS_USER
from headrace.contract.weights import (
    ENV_LIMIT,
    ENV_SOURCE,
    ENV_TRACKING_URI,
    MANIFEST_PATH,
    PART_BYTES,
    WEIGHTS_HOME,
    WeightsManifest,
)
from headrace.runtimes.pod.logs import tell_reason
from headrace.runtimes.pod.settings import memory_allowed
from headrace.runtimes.weights import source as source_module
from headrace.runtimes.weights.cache import Cache
from headrace.runtimes.weights.copying import Tally, copy
from headrace.runtimes.weights.source import Source

log = logging.getLogger("headrace.weights")

_FILES: Final = 2
"""At a time: while one is flushed to the disk, the next is read."""
_PARTS: Final = 8
"""Requests at a time: S3 gives one connection about 90 MB/s."""
_PART_MEMORY: Final = 2 * PART_BYTES
"""A part is there twice while the client makes one piece of what came."""
_OWN_MEMORY: Final = 64 * 1024 * 1024
"""The interpreter with the client has 30 MB before its first request; as much again is for connections."""
_TELL_SECONDS: Final = 10.0


def main(environment: Mapping[str, str], *, termination_log: Path = Path("/dev/termination-log")) -> int:
    """Exit status of the init container; the reason of a failure is where the kubelet reads it."""
    try:
        manifest = WeightsManifest.from_json(json.loads(Path(MANIFEST_PATH).read_text("utf-8")))
        source = source_module.opened(
            environment.get(ENV_SOURCE, ""), environment.get(ENV_TRACKING_URI, ""), environment
        )
        bring(manifest, source, Cache(Path(WEIGHTS_HOME), _limit(environment)))
    except HeadraceError as error:
        tell_reason(str(error), termination_log)
        return 1
    except OSError as error:
        tell_reason(
            f"The weights cannot be written to their volume ({error.strerror}: {error.filename or WEIGHTS_HOME}); it "
            f"needs room, and must let the group {RUN_AS_USER} write",
            termination_log,
        )
        return 1
    return 0


def parts_at_once(memory_bytes: int | None) -> int:
    """Requests for parts that a memory limit has room for, at least one; None: there is no limit."""
    if memory_bytes is None:
        return _PARTS
    return max(1, min(_PARTS, (memory_bytes - _OWN_MEMORY) // _PART_MEMORY))


def bring(manifest: WeightsManifest, source: Source, cache: Cache) -> Tally:
    """Brings all files into the cache; raises as `copy` and `Cache.require_room` do."""
    started, tally, at_once = time.monotonic(), Tally(), parts_at_once(memory_allowed())
    cache.require_room(manifest)
    files = list({file.digest: file for file in manifest.files}.values())
    with _told(manifest, tally), ThreadPoolExecutor(at_once) as parts, ThreadPoolExecutor(_FILES) as some:
        copies = [some.submit(copy, file, source, cache, parts, tally) for file in files]
        try:
            for each in copies:
                each.result()
        finally:
            for each in copies:
                each.cancel()
    cache.used(files)
    seconds = time.monotonic() - started
    log.info(
        "the weights are here after %.1f s: %.1f MB were read at %.0f MB/s, %.1f MB were on the node",
        seconds,
        tally.read / 1e6,
        tally.read / 1e6 / seconds,
        tally.found / 1e6,
    )
    return tally


@contextmanager
def _told(manifest: WeightsManifest, tally: Tally) -> Iterator[None]:
    """Logs how far it is, every ten seconds."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(_TELL_SECONDS):
            done, of = (tally.read + tally.found) / 1e6, manifest.size / 1e6
            log.info("the weights are copied: %.0f of %.0f MB so far", done, of)

    beside = threading.Thread(target=tell, daemon=True)
    beside.start()
    try:
        yield
    finally:
        over.set()
        beside.join()


def _limit(environment: Mapping[str, str]) -> int | None:
    text = environment.get(ENV_LIMIT, "")
    if text and not text.isdecimal():
        raise InputError("weights", [f"{ENV_LIMIT} = {text!r}, must be a whole number of bytes"])
    return int(text) if text else None
