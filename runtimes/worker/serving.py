"""The worker's life: dial in to the front, load, warm up, answer until told to leave.

A model whose requests are merged needs one thread. Otherwise threads take turns at the socket: whoever holds the turn
reads one frame and handles it itself, so that a lone request changes threads nowhere; a thread that finds nobody left
to take the turn starts one. The front never sends more calls at a time than it wants executed at a time, hence the
number of threads needs no setting here.
"""

from __future__ import annotations

import contextlib
import gc
import json
import mmap
import os
import socket
import sys
import threading
import time
from typing import Any

from . import call_output, deferring, example, frames, loading, pids, tracing, warning_filter
from .diagnostics import STDERR, log
from .first_call import NOT_ASKED, FirstCall
from .frames import Kind
from .merging import Merger
from .scoring import Answer, Request, Scorer

BEAT_SECONDS = 1.0
ORPHAN_SECONDS = 10.0
"""How long a worker waits for a front that went away, for example one that is replaced, before it exits."""


class Link:
    """The connection to the front; dials again when the front is replaced."""

    def __init__(
        self, path: str, hello: dict[str, Any], descriptor: int | None = None, taken: int | None = None
    ) -> None:
        """`descriptor` is the open connection of a worker that begins anew; None dials.

        `taken` is that of the memory in which the front reads which call was taken up last.
        """
        self._taken: Any = [0] if taken is None else memoryview(mmap.mmap(taken, 8)).cast("Q")
        self._path = path
        self._hello = hello
        self._process = os.getpid()
        self._announcement = b""
        self._write_lock = threading.Lock()
        self._reader = frames.Reader()
        self._socket = self._dial() if descriptor is None else socket.socket(fileno=descriptor)

    def begin_anew(self, arguments: list[str]) -> None:
        """Starts the process over, with this connection, of which nothing may have been received yet."""
        with self._write_lock:  # not in the middle of a beat
            descriptor = self._socket.fileno()
            os.set_inheritable(descriptor, True)
            os.dup2(log.descriptor, STDERR)  # whatever the model has put there
            os.execv(sys.executable, [sys.executable, *arguments, "--descriptor", str(descriptor)])

    def announce(self, frame: bytes) -> None:
        """Sends a frame now and again to every later front: the worker's state."""
        self._announcement = frame
        self.send(frame)

    def send(self, frame: bytes) -> None:
        """Sends one frame. A front that is gone loses it: its callers are gone as well."""
        if os.getpid() != self._process:
            os._exit(1)  # a process that the model forked came back from the call, to which there is one answer
        with self._write_lock, contextlib.suppress(OSError):  # the front went away before it could be answered
            self._socket.sendall(frame)

    def receive(self) -> frames.Frame:
        """The next frame; blocks. Only one thread at a time may call it."""
        while True:
            frame = self._reader.next()
            if frame is not None:
                if frame.kind in (Kind.SCORE, Kind.STREAM):
                    self._taken[0] = frame.head["call"]
                return frame
            try:
                data = self._socket.recv(1 << 18)
            except OSError:
                data = b""
            if data:
                self._reader.feed(data)
                continue
            with self._write_lock:
                self._socket.close()
                self._reader = frames.Reader()
                self._socket = self._dial()
                if self._announcement:
                    self._socket.sendall(self._announcement)

    def _dial(self) -> socket.socket:
        give_up = time.monotonic() + ORPHAN_SECONDS
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self._path)
                connection.sendall(frames.pack(Kind.HELLO, self._hello))
                return connection
            except OSError:
                connection.close()
                if time.monotonic() > give_up:
                    log.error(f"no front at {self._path} for {ORPHAN_SECONDS:.0f} s; exiting")
                    os._exit(0)
                time.sleep(0.05)


class Worker:
    """Answers frames with one model."""

    def __init__(
        self,
        link: Link,
        merger: Merger,
        described: dict[str, Any] | None = None,
        first_call: FirstCall | None = None,
    ) -> None:
        self._link = link
        self._merger = merger
        self._first_call = first_call
        """Kept until a caller's request comes: the front proves the protocols with it before."""
        self._described = described or {}
        self._told = merger.merges
        """Whether requests are merged, as the front knows it."""
        self._counted = (0, 0)
        """Merged calls that were checked, and that differed, as the front knows them."""
        self._turn = threading.Lock()
        self._waiting = 0
        self._running = 0
        self._leaving = False
        self._cancelled: set[int] = set()
        """Streams nobody listens to any more."""
        self._count_lock = threading.Lock()

    def run(self) -> None:
        """Answers until LEAVE; returns when the last running call is answered."""
        if self._merger.merges and self._one_after_the_other():
            return
        self._take_turns()
        while True:
            with self._count_lock:
                if self._running == 0:
                    return
            time.sleep(0.01)

    def _one_after_the_other(self) -> bool:
        """For a model whose requests are merged: one call at a time, hence one thread and no handing over.

        True when the worker was told to leave, False when merging has ended.
        """
        while self._merger.merges:
            frame = self._link.receive()
            if frame.kind == Kind.LEAVE:
                return True
            if frame.kind == Kind.SCORE:
                self._score(frame)
            elif frame.kind == Kind.STREAM:
                self._stream(frame)
            elif frame.kind == Kind.APART:
                self._end_merging(frame)
            elif frame.kind == Kind.PROVE:
                self._prove(frame)
        return False

    def _end_merging(self, frame: frames.Frame) -> None:
        self._merger.end(str(frame.head["reason"]))
        self._announce()

    def _announce(self) -> None:
        """Tells the front, and every later one, that merging has begun or ended."""
        if self._told != self._merger.merges:
            self._told = self._merger.merges
            self._described.update(state_of(self._merger))
            self._link.announce(frames.pack(Kind.READY, self._described))

    def _take_turns(self) -> None:
        while not self._leaving:
            with self._count_lock:
                self._waiting += 1
            with self._turn:
                if self._leaving:
                    return
                frame = self._link.receive()
                if frame.kind == Kind.LEAVE:
                    self._leaving = True
                with self._count_lock:
                    self._waiting -= 1
                    self._running += frame.kind in (Kind.SCORE, Kind.STREAM)
                    alone = self._waiting == 0
            if alone and not self._leaving:
                self._start_another()
            if frame.kind == Kind.CANCEL:
                self._cancelled.add(frame.head["call"])
            elif frame.kind == Kind.APART:
                self._end_merging(frame)
            elif frame.kind == Kind.PROVE:
                self._prove(frame)
            elif frame.kind in (Kind.SCORE, Kind.STREAM):
                try:
                    self._score(frame) if frame.kind == Kind.SCORE else self._stream(frame)
                finally:
                    with self._count_lock:
                        self._running -= 1

    def _start_another(self) -> None:
        try:
            threading.Thread(target=self._take_turns, name="model", daemon=True).start()
        except RuntimeError as error:  # this thread takes the next turn as well, after its call
            log.warning(f"calls wait for each other: {error}{pids.told(error)}")

    def _stream(self, frame: frames.Frame) -> None:
        call = frame.head["call"]
        status, body = 200, b""
        token = call_output.begin(call)
        try:
            with tracing.continued(frame.head.get("trace")):
                for piece in self._merger.stream(frame.head["items"][0][0], frame.payload):
                    if call in self._cancelled:
                        break
                    self._link.send(frames.pack(Kind.CHUNK, {"call": call}, piece))
        except BaseException as error:  # sys.exit in a model too
            fault = self._merger.fault(error, frame.payload)
            status, body = fault.status, fault.to_bytes()
        said = call_output.end(token)
        self._cancelled.discard(call)
        head = {"call": call, "items": [[status, len(body)]], **({"said": True} if said else {})}
        self._link.send(frames.pack(Kind.SCORED, head, body))

    def _prove(self, frame: frames.Frame) -> None:
        first_call, self._first_call = self._first_call, None
        requests = _requests(frame)
        answers = [Answer(NOT_ASKED, b"")] * len(requests)
        if first_call is not None:
            try:
                answers = first_call.prove(self._merger, requests)
            except Exception as error:  # the front waits for an answer before it serves
                log.error("the protocols cannot be proven", error)
        head = {"items": [[answer.status, len(answer.body)] for answer in answers]}
        self._link.send(frames.pack(Kind.PROVED, head, b"".join(answer.body for answer in answers)))

    def _score(self, frame: frames.Frame) -> None:
        merger, watch = self._merger, self._merger.watch
        started, checking = time.monotonic(), merger.checking_seconds
        self._first_call = None
        token = call_output.begin(frame.head["call"])
        with tracing.continued(frame.head.get("trace")):
            answers = merger.answer(_requests(frame))
        said = call_output.end(token)
        head = {
            "call": frame.head["call"],
            "items": [[answer.status, len(answer.body)] for answer in answers],
            "seconds": time.monotonic() - started - (merger.checking_seconds - checking),
        }
        if said:
            head["said"] = True
        with self._count_lock:
            before = self._counted
            self._counted = counted = watch.checked, watch.differed
        if counted != before:
            head["checked"], head["differed"] = counted[0] - before[0], counted[1] - before[1]
        self._announce()
        self._link.send(frames.pack(Kind.SCORED, head, b"".join(answer.body for answer in answers)))
        merger.learn()
        self._announce()


def _requests(frame: frames.Frame) -> list[Request]:
    items: list[tuple[str, int]] = frame.head["items"]
    bodies = frames.split(frame.payload, [length for _, length in items])
    return [Request(items[index][0], body) for index, body in enumerate(bodies)]


def _beat(link: Link) -> None:
    frame = frames.pack(Kind.BEAT, {})
    while True:
        time.sleep(BEAT_SECONDS)
        link.send(frame)


def prepare(model_directory: str) -> tuple[Merger, dict[str, Any], FirstCall | None]:
    """The loaded, warmed-up model, its description, and its first call where it has an example.

    RuntimeError says in one sentence why it cannot be served.
    """
    started = time.monotonic()
    try:
        loading.server()
        imported = time.monotonic()
        scorer = Scorer(loading.load(model_directory))
    except BaseException as error:  # SystemExit too: a model may call sys.exit at import
        log.error("the model does not load", error)
        said = f"{type(error).__name__}: {_first_lines(error)}{pids.told(error)}"
        raise RuntimeError(f"the model does not load: {said}") from error
    loaded = time.monotonic()
    body = loading.warm_up_body(model_directory, scorer.model.metadata)
    first_call = None if body is None else FirstCall(scorer, body)
    if first_call is not None and not _answers(scorer, first_call, model_directory):
        body = first_call = None
    if loading.loader_of(scorer.model) == "mlflow.sklearn":
        warning_filter.settle()
    answered = time.monotonic()
    merger = Merger(scorer)
    with log.quiet():
        merger.prepare(body)
    warmed = time.monotonic()
    described = loading.description(
        scorer.model, load_seconds=loaded - started, warm_up_seconds=warmed - loaded if body is not None else 0.0
    )
    described["marks"] = {"import": imported, "load": loaded, "warm": answered, "prove": warmed}
    described.update(state_of(merger))
    described["fast_forms"] = merger.forms
    described["packs"] = merger.packs
    described["labels"] = merger.labels
    described["packs_shape"] = merger.packs_shape
    if first_call is not None:
        described["first_call"] = first_call.figures()
    return merger, described, first_call


def _answers(scorer: Scorer, first_call: FirstCall, model_directory: str) -> bool:
    """Makes the first call; whether the model answers it. False where it is the request that is wrong.

    RuntimeError when the model does not answer its example in whatever way it is asked.
    """
    answer = first_call.make()
    if answer.status == 200:
        return True
    reason = json.loads(answer.body).get("message")
    try:
        good = example.answered(scorer.model, model_directory)
    except Exception as error:
        log.warning(f"MLflow cannot read the model's input example, and a request of it is refused: {reason}", error)
        return False
    if not good:
        raise RuntimeError(f"the model fails on its own input example: {reason}")
    log.warning(f"the model answers its input example, but not as a request: {reason}")
    return False


def state_of(merger: Merger) -> dict[str, Any]:
    """The part of a description that may change while serving."""
    return {"merges": merger.merges, "merges_not_because": merger.reason, "mixes": merger.mixes}


def _first_lines(error: BaseException) -> str:
    text = str(error).strip()
    return text if len(text) <= 1000 else text[:1000] + " …"


def serve(arguments: Any, *, collect_every: int, again: list[str]) -> int:
    """Runs the worker; the return value is the process's exit status.

    Once the model is ready, `collect_every` new containers are between two collections of garbage. `again` is the
    command line, without the interpreter, with which a worker starts over where a model does not load with some of its
    libraries deferred: they need not be what is wrong, but then there is no doubt.
    """
    link = Link(arguments.socket, {"pid": os.getpid(), "slot": arguments.slot}, arguments.descriptor, arguments.taken)
    threading.Thread(target=_beat, args=(link,), name="beat", daemon=True).start()
    traces = tracing.prepare()
    finder = None if arguments.whole else deferring.defer(arguments.model)
    try:
        merger, described, first_call = prepare(arguments.model)
    except RuntimeError as error:
        if finder is not None and finder.deferred:
            named = ", ".join(finder.deferred)
            log.warning(f"loading again with every library imported at once: {named} were not")
            link.begin_anew(again)
        link.announce(frames.pack(Kind.FAILED, {"reason": str(error)}))
        while link.receive().kind != Kind.LEAVE:
            pass
        return 1
    described["traces"] = traces
    # What was loaded stays: without this, a collection walks all of the model's libraries, for a tenth of a second,
    # which is also why none comes first: of what is garbage by now, a few hundred objects are left.
    gc.freeze()
    gc.set_threshold(collect_every)
    if first_call is not None and first_call.small:
        said = (first_call.body, first_call.answer.body)
        link.send(frames.pack(Kind.EXAMPLE, {"lengths": list(map(len, said))}, b"".join(said)))
    link.announce(frames.pack(Kind.READY, described))
    worker = Worker(link, merger, described, first_call)
    del first_call  # the worker lets go of it
    worker.run()
    return 0
