"""The table writer without Kubernetes: real commits into a real Delta table. Stand-ins: an argument for an object's
`inference_table`, and the pod's uid for a token, which no API server reviews.

`python table_writer_process.py PORT FOLDER` writes the endpoint `model` to FOLDER/model; where FOLDER is an address of
a store, files of HEADRACE_STORAGE_DIRECTORY are the storage options. A file `ends` beside a local FOLDER names the
moment of the next commit at which the process kills itself: `before`, `during` or `after`.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from headrace.contract.inference_table import InferenceTable
from headrace.observability.tables.batch import Batch
from headrace.observability.tables.callers import Caller
from headrace.observability.tables.commits import INTERVAL_SECONDS, Commits
from headrace.observability.tables.delta import InferenceDeltaTable
from headrace.observability.tables.reception import HttpReception, Reception
from headrace.observability.tables.settings import Settings
from headrace.observability.tables.table_set import TableSet


class EndingTable(InferenceDeltaTable):
    """A table whose writer dies at the moment that a file names, as a node takes a process away."""

    ends: Path

    def _commit(self, batches: Sequence[Batch]) -> None:
        moment = self.ends.read_text() if self.ends.exists() else ""
        self.ends.unlink(missing_ok=True)
        if moment == "before":
            die()
        if moment == "during":
            threading.Thread(target=self._die_with_the_file, args=(self._files(),), daemon=True).start()
        super()._commit(batches)
        if moment:
            die()

    def _die_with_the_file(self, before: set[Path]) -> None:
        """As soon as the rows are in a file; the table's log, which makes the file count, is written after that."""
        while not self._files() - before:
            pass
        die()

    def _files(self) -> set[Path]:
        return {*Path(self._uri).glob("request_date=*/*.parquet")}


def die() -> None:
    """At once, without a word to anybody."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(port: int, folder: str, interval_seconds: float) -> None:
    """Writes until SIGTERM."""
    EndingTable.ends = Path(folder).with_name("ends")
    tables = TableSet(
        lambda endpoint: InferenceTable(uri=f"{folder}/{endpoint}"),
        Settings.from_environment(os.environ).storage_options,
        opened=lambda uri, options: EndingTable(uri, options, volume=PurePosixPath(folder)),
    )

    def told(endpoint: str, failure: Exception | None, new: int, seconds: float) -> None:
        print(endpoint, type(failure).__name__, failure, new, f"{seconds:.3f}", file=sys.stderr, flush=True)

    commits = Commits(tables.table, told=told, interval_seconds=interval_seconds)
    reception = HttpReception(port, Reception(lambda token: Caller("model", token), commits.add))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    commits.start()
    reception.start()
    print("ready", flush=True)
    stop.wait()
    reception.stop()
    commits.stop()


if __name__ == "__main__":
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else INTERVAL_SECONDS
    main(int(sys.argv[1]), sys.argv[2], seconds)
