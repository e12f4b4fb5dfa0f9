"""A pod that records: a front with a model, its sidecar and a table writer, as processes that can be killed."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import TableNotFoundError
from patience import eventually, free_port
from running_pod import RunningPod, running

from headrace.contract.inference_table import Recording

POD_UID = "pod-1"
HERE = Path(__file__).parent


@dataclass
class RecordedPod:
    """The processes, and what they say."""

    folder: Path
    front: RunningPod
    writer_port: int = field(default_factory=free_port)
    sidecar_port: int = field(default_factory=free_port)
    writer: "subprocess.Popen[bytes] | None" = None
    sidecar: "subprocess.Popen[bytes] | None" = None
    interval_seconds: float = 0.5
    """Between two commits."""
    store: str = ""
    """Address of a store's folder; a folder beside where it is empty."""
    storage_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def tables(self) -> str:
        """Where the folders of tables are."""
        return self.store or str(self.folder / "tables")

    @property
    def records(self) -> Path:
        """Where the pod's records are."""
        return self.folder / "records"

    def start_writer(self) -> None:
        command = [sys.executable, str(HERE / "table_writer_process.py"), str(self.writer_port), self.tables]
        storage = self.folder / "storage"
        storage.mkdir(exist_ok=True)
        for name, value in self.storage_options.items():
            (storage / name).write_text(value)
        self.writer = self._started(
            [*command, str(self.interval_seconds)], "writer.log", HEADRACE_STORAGE_DIRECTORY=str(storage)
        )

    def start_sidecar(self) -> None:
        (self.folder / "token").write_text(POD_UID)
        self.sidecar = self._started(
            [sys.executable, "-m", "headrace.runtimes", "sidecar"],
            "sidecar.log",
            HEADRACE_RECORDS_DIRECTORY=str(self.records),
            HEADRACE_TOKEN_FILE=str(self.folder / "token"),
            HEADRACE_TABLE_WRITER=f"127.0.0.1:{self.writer_port}",
            HEADRACE_SIDECAR_PORT=str(self.sidecar_port),
            HEADRACE_POD_UID=POD_UID,
            HEADRACE_ENDPOINT="model",
        )

    def _started(self, command: list[str], log: str, **settings: str) -> "subprocess.Popen[bytes]":
        with (self.folder / log).open("ab") as output:
            return subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output)

    def kill_writer(self) -> None:
        """Kills it, and starts another."""
        self._kill(self.writer)
        self.start_writer()

    def kill_writer_at(self, moment: str) -> None:
        """Has it kill itself `before`, `during` or `after` the next commit, and starts another."""
        assert self.writer is not None
        (self.folder / "ends").write_text(moment)
        assert self.writer.wait(120) == -signal.SIGKILL
        self.start_writer()

    def files_of_no_commit(self) -> int:
        """Files with rows that no commit names: their writer was killed between the two."""
        there = {path.name for path in (self.folder / "tables" / "model").glob("request_date=*/*.parquet")}
        return len(there - {Path(uri).name for uri in DeltaTable(str(self.folder / "tables" / "model")).file_uris()})

    def take_writer_away(self) -> None:
        """Kills it, and starts none."""
        self._kill(self.writer)

    def kill_sidecar(self) -> None:
        """Kills it, and starts another."""
        self._kill(self.sidecar)
        self.start_sidecar()

    def kill_front(self) -> None:
        """Kills the serving process, which its parent replaces."""
        os.kill(self.serving_pid(), signal.SIGKILL)

    def serving_pid(self) -> int:
        """Of the process that the front's parent has made of itself."""
        parent = self.front.process.pid
        own = Path(f"/proc/{parent}/cmdline").read_bytes()

        def found() -> int:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            return next((int(pid) for pid in children if _cmdline(pid) == own), 0)

        return eventually(found)

    @staticmethod
    def _kill(process: "subprocess.Popen[bytes] | None") -> None:
        if process is not None:
            process.kill()
            process.wait()

    def rows(self) -> list[dict[str, Any]]:
        """The table, as a reader of its own sees it."""
        try:
            table = DeltaTable(f"{self.tables}/model", storage_options=dict(self.storage_options) or None)
        except TableNotFoundError:
            return []
        found = QueryBuilder().register("rows", table).execute("select * from rows order by sequence").read_all()
        return [
            dict(zip(found.column_names, values, strict=True))
            for values in zip(*(found[name].to_pylist() for name in found.column_names), strict=True)
        ]

    def peak_mib(self) -> dict[str, float]:
        """The most memory that sidecar and writer have had resident so far."""
        found = {}
        for name, process in (("sidecar", self.sidecar), ("writer", self.writer)):
            assert process is not None
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            [found[name]] = [int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")]
        return found

    def metrics(self) -> Counter[str]:
        """All of the front's and the sidecar's counters of records, by name and, where it has one, reason."""
        found: Counter[str] = Counter()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.sidecar_port}/metrics", timeout=10) as answer:
            text = self.front.metrics() + answer.read().decode()
        for line in text.splitlines():
            if line.startswith("headrace_records_"):
                name, _, rest = line.removeprefix("headrace_records_").partition("{")
                reason = rest.partition('reason="')[2].partition('"')[0]
                found[f"{name} {reason}".strip()] += int(float(line.rpartition(" ")[2]))
        return found

    def adds_up(self) -> bool:
        """Whether every record that was attempted has come to its end, and each is counted once."""
        try:
            told = self.metrics()
        except OSError:  # one of them has just begun
            return False
        lost = sum(count for name, count in told.items() if name.startswith("dropped_total"))
        settled = told["written_total"] + told["too_large_total"] + told["sampled_out_total"] + lost
        return told["attempted_total"] == settled and told["pending"] == 0

    def stop(self) -> None:
        """Ends sidecar and writer as Kubernetes does; the front is ended by who started it."""
        for process in (self.sidecar, self.writer):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()


def _cmdline(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def recorded_pod(
    folder: Path,
    model: Path,
    *,
    recording: Mapping[str, Any] | None = None,
    interval_seconds: float = 0.5,
    store: str = "",
    storage_options: Mapping[str, str] | None = None,
) -> Iterator[RecordedPod]:
    """A pod that serves a saved model and records, into a folder or a store."""
    told = Recording(**{"directory": str(folder / "records"), **(recording or {})})
    settings = {
        "HEADRACE_VERSION": "v7", "HEADRACE_GRACE_SECONDS": "4", "HEADRACE_WORKERS": "1",
        "HEADRACE_RECORDING": json.dumps(told.to_json()),
    }  # fmt: skip
    served = ["--model", str(model), "--python", sys.executable]
    with running(RunningPod, folder, served, settings, within_seconds=120) as front:
        pod = RecordedPod(folder, front, interval_seconds=interval_seconds)
        pod.store, pod.storage_options = store, storage_options or {}
        pod.start_writer()
        pod.start_sidecar()
        try:
            yield pod
        finally:
            pod.stop()


class Load:
    """Requests from several threads, each with an id of its own; none is sent twice."""

    def __init__(
        self, port: int, *, threads: int = 4, pause_seconds: float = 0.0, name: str = "", more: str = ""
    ) -> None:
        """Each thread waits for `pause_seconds` after an answer. `name` begins each id; `more` is in each body."""
        self._port, self._pause, self._name, self._more = port, pause_seconds, name, more
        self.answers: dict[str, int] = {}
        """Status by id; 0 where the connection broke."""
        self.seconds: list[float] = []
        """Of each answer."""
        self.enough = sys.maxsize
        """Beyond so many answers it only trickles, so that a story of many steps has requests in each."""
        self.enough_when: Callable[[], bool] = lambda: False
        """When it ends before all were sent."""
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]
        self._left, self._ended = 0, False
        self._lock = threading.Lock()

    @property
    def threads(self) -> int:
        """How many there are."""
        return len(self._threads)

    def send(self, count: int, *, meanwhile: "Callable[[Load, int], None] | None" = None) -> None:
        """Sends so many, and returns when all have been answered or lost; `meanwhile` is called when they begin, and
        requests come until it returns."""
        self._left, self._ended = count, meanwhile is None
        for thread in self._threads:
            thread.start()
        try:
            if meanwhile is not None:
                meanwhile(self, count)
        finally:
            self._ended, self.enough = True, sys.maxsize
        for thread in self._threads:
            thread.join(3600)

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        sent = 0
        while True:
            with self._lock:
                if self._ended and (self._left <= 0 or self.enough_when()):
                    return
                self._left -= 1
            sent += 1
            identity = f"{self._name}{number}-{sent}"
            inputs = [[float(sent)], *([[self._more]] if self._more else [])]
            body = json.dumps({"inputs": inputs, "client_request_id": identity})
            began = time.monotonic()
            try:
                connection.request("POST", "/invocations", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.answers[identity] = answer.status
                self.seconds.append(time.monotonic() - began)
            except (OSError, http.client.HTTPException):
                self.answers[identity] = 0
                connection.close()
                eventually(self._listens)
            time.sleep(0.2 if len(self.answers) > self.enough or self._left <= 0 else self._pause)

    def _listens(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/ping", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Kills:
    """Twice a moment's kills are never at the same place: each waits for a share of the requests, and a little more."""

    MOMENTS = ("before", "during", "after")

    def __init__(self, pod: RecordedPod, *, each: int, seed: int, front: bool = True) -> None:
        """So many of the `front`, the sidecar, and the writer at each moment of a commit, in an order by `seed`."""
        self.each, self._random = each, random.Random(seed)
        writers = {f"writer {moment} a commit": partial(pod.kill_writer_at, moment) for moment in self.MOMENTS}
        kinds: dict[str, Callable[[], None]] = {"sidecar": pod.kill_sidecar, **writers}
        if front:
            kinds = {"front": pod.kill_front, **kinds}
        self._kills = [kill for kill in kinds.values() for _ in range(each)]
        self._random.shuffle(self._kills)

    def run(self, load: Load, requests: int) -> None:
        """Kills one after the other while a load of so many requests runs."""
        share = requests / (len(self._kills) + 1)
        for number, kill in enumerate(self._kills, start=1):
            reached = round((number - self._random.random() / 2) * share)
            load.enough = reached + round(share / 2)
            eventually(lambda reached=reached: len(load.answers) >= reached, seconds=300)  # type: ignore[misc]
            time.sleep(self._random.random() * 0.01)
            kill()
        load.enough = sys.maxsize


def assert_all_recorded(
    pod: RecordedPod, *loads: Load, front_kills: int = 0, no_room: Sequence[str] = (), seconds: float = 60.0
) -> dict[str, int]:
    """Each answer has one row; nothing is doubled; and the counters say the same. Returns what was dropped, by reason.

    A front that is killed between counting a request and keeping its record has not answered it: one a kill at most,
    since the event loop keeps one record at a time. `no_room`: reasons for which other records may be dropped.
    """
    eventually(pod.adds_up, "counters that add up", seconds=seconds)
    table, told = pod.rows(), pod.metrics()
    rows = Counter(row["client_request_id"] for row in table)
    answered = {identity for load in loads for identity, status in load.answers.items() if status == 200}
    dropped = {name.split()[-1]: told[name] for name in told if name.startswith("dropped_total") and told[name]}

    assert {*dropped} <= {"interrupted", *no_room}, told
    assert dropped.get("interrupted", 0) <= front_kills
    missing = sum(1 for identity in answered if rows[identity] == 0)
    assert missing == sum(dropped.get(reason, 0) for reason in no_room), told
    assert [identity for identity, count in rows.items() if count > 1] == []
    assert {row["status_code"] for row in table} <= {200, 499}
    assert told["attempted_total"] == len(table) + sum(dropped.values())
    return dropped
