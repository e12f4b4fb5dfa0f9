"""How fast large weights reach a node: `make bench-weights`, some ten minutes and 18 GB of disk.

8 GiB of random weights, in two files, are copied as a pod's init container copies them: by ranges over HTTP from
another process on this machine, each part checked, flushed to the disk. Before and after each copy as many bytes are
written to the same disk in one sequential stream and flushed, and read over the loopback into nothing: what is slower
of the two is the most that a copy could reach. A virtual machine's disk is another one from minute to minute, so each
copy is compared with what was measured around it. The store is a file server of this module, whose files the kernel
sends from memory as long as there is enough.
"""

import argparse
import contextlib
import http.client
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Final
from urllib.parse import unquote

from bench import report
from headrace.contract.weights import PART_BYTES, WeightsFile, WeightsManifest, hashed
from headrace.runtimes.weights import source
from headrace.runtimes.weights.cache import Cache
from headrace.runtimes.weights.copying import Tally
from headrace.runtimes.weights.program import bring

GIB: Final = 1024**3
BAR_SHARE: Final = 0.8
"""Of the slower of disk and loopback."""
_PREFIX: Final = "/api/2.0/mlflow-artifacts/artifacts/1/"
_CHUNK: Final = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One run of what the init container does."""

    seconds: float
    cpu_seconds: float
    tally: Tally


def main() -> None:
    """Writes bench/results/weights.json."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--gib", type=float, default=8.0, help="size of the weights")
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.serve is not None:
        _serve(given.serve)
        return
    size = int(given.gib * GIB)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        _measure(Path(folder), size, given.rounds)


def _measure(folder: Path, size: int, rounds: int) -> None:
    store = folder / "store"
    store.mkdir()
    load = f"{os.getloadavg()[0]:.0f}"
    manifest = WeightsManifest(files=tuple(_random(store / f"{number}.bin", size // 2) for number in (1, 2)))
    some = WeightsManifest(files=(_random(store / "some.bin", size // 8),))
    disk, loopback, copies, seconds = [_disk(folder, size)], list[float](), list[Copy](), list[Copy]()
    with _server(store) as port:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(dir=folder) as node:
                loopback.append(_loopback(port, manifest))
                copies.append(_copy(manifest, port, Path(node)))
                seconds.append(_copy(manifest, port, Path(node)))
            disk.append(_disk(folder, size))
        with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            unhindered = _copy(some, port, Path(memory))
    rates = [size / copy.seconds / 1e6 for copy in copies]
    around = [min((before + after) / 2, loop) for before, after, loop in zip(disk, disk[1:], loopback, strict=False)]
    shares = [100 * rate / best for rate, best in zip(rates, around, strict=True)]
    cells = [
        _cell("disk", "written and flushed", disk, "MB/s", system="this machine"),
        _cell("loopback", "read into nothing", loopback, "MB/s", system="this machine"),
        _cell("first pod", "copied, checked and flushed", rates, "MB/s"),
        _cell("first pod", "beside the slower of disk and loopback", shares, "%"),
        _cell("first pod", "until the model may start", [copy.seconds for copy in copies], "s"),
        _cell("first pod", "CPU", [copy.cpu_seconds for copy in copies], "s"),
        report.single("first pod", "memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, "MB"),
        _cell("second pod", "until the model may start", [copy.seconds for copy in seconds], "s"),
        report.single("into memory", "copied and checked", some.size / unhindered.seconds / 1e6, "MB/s"),
    ]
    read = sum(copy.tally.read for copy in seconds)
    bars = [
        report.at_least("copy beside the slower of disk and loopback", median(shares), 100 * BAR_SHARE, "%"),
        report.at_most("read from the store by the second pod", read, 0, "bytes"),
        report.at_most("second pod, until the model may start", median(copy.seconds for copy in seconds), 1, "s"),
    ]
    versions = {"weights": f"{size / GIB:g} GiB", "rounds": str(rounds), "load average": load}
    report.write("weights", versions=versions, cells=cells, bars=bars)


def _cell(case: str, metric: str, values: Sequence[float], unit: str, *, system: str = "headrace") -> report.Cell:
    return report.Cell(
        case=case, system=system, metric=metric, value=median(values), unit=unit, low=min(values), high=max(values)
    )


def _random(path: Path, size: int) -> WeightsFile:
    def chunks() -> Iterator[bytes]:
        with path.open("wb") as file:
            for start in range(0, size, _CHUNK):
                chunk = os.urandom(min(_CHUNK, size - start))
                file.write(chunk)
                yield chunk
            file.flush()
            os.fsync(file.fileno())

    return hashed(path.name, chunks())


def _disk(folder: Path, size: int) -> float:
    """MB/s of one sequential stream with its flush."""
    chunk, path = os.urandom(_CHUNK), folder / "probe.bin"
    started = time.monotonic()
    with path.open("wb", buffering=0) as file:
        for start in range(0, size, _CHUNK):
            file.write(chunk[: min(_CHUNK, size - start)])
        os.fsync(file.fileno())
    seconds = time.monotonic() - started
    path.unlink()
    return size / seconds / 1e6


def _loopback(port: int, manifest: WeightsManifest) -> float:
    """MB/s of all bytes by two connections, thrown away."""

    def read(name: str) -> int:
        connection, count, buffer = http.client.HTTPConnection("127.0.0.1", port), 0, bytearray(1 << 20)
        connection.request("GET", _PREFIX + name)
        answer = connection.getresponse()
        while got := answer.readinto(buffer):
            count += got
        connection.close()
        return count

    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        count = sum(pool.map(read, (file.path for file in manifest.files)))
    return count / (time.monotonic() - started) / 1e6


def _copy(manifest: WeightsManifest, port: int, node: Path) -> Copy:
    used, started = time.process_time(), time.monotonic()
    tally = bring(manifest, source.opened("mlflow-artifacts:/1", f"http://127.0.0.1:{port}", {}), Cache(node))
    return Copy(seconds=time.monotonic() - started, cpu_seconds=time.process_time() - used, tally=tally)


@contextlib.contextmanager
def _server(store: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.weights", "--serve", str(store)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def _serve(store: Path) -> None:
    """Prints its port; sends files of the folder, and ranges of them, until it is ended."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name is the library's
            with (store / unquote(self.path).removeprefix(_PREFIX)).open("rb") as file:
                size, wanted = os.fstat(file.fileno()).st_size, self.headers.get("Range")
                first, last = map(int, wanted.removeprefix("bytes=").split("-")) if wanted else (0, size - 1)
                self.send_response(206 if wanted else 200)
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
                self.send_header("Content-Length", str(last + 1 - first))
                self.send_header("Last-Modified", "Tue, 01 Jan 1980 00:00:00 GMT")
                self.end_headers()
                self.wfile.flush()
                while first <= last:
                    first += os.sendfile(
                        self.connection.fileno(), file.fileno(), first, min(PART_BYTES, last + 1 - first)
                    )

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
