"""The proof of a model's protocols: its input example through the pod's own HTTP shell, before any caller.

Each protocol's request is bytes on a connection of ours, read, routed and turned into work as a caller's would be. The
worker answers with the result of its first call where the model is given the same input (`worker.first_call`), and the
answers leave through the same shell. What they say is compared with the prediction.
"""

# mypy: disable-error-code="import-untyped"
# httptools carries no types.

import asyncio
import contextlib
import datetime
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import httptools
import orjson

from headrace.contract import names
from headrace.contract.codec import decode, encode
from headrace.contract.errors import InputError
from headrace.contract.evidence import Proof
from headrace.runtimes.calls import Backend, Batch, Call, Outcome, Work
from headrace.runtimes.http.connection import Connection
from headrace.runtimes.http.exchange import Exchange, Record
from headrace.runtimes.http.grpc_routes import GrpcRoutes
from headrace.runtimes.http.open_inference_routes import OpenInferenceRoutes, paths_of
from headrace.runtimes.http.routes import Router
from headrace.runtimes.http.scoring_routes import ScoringRoutes
from headrace.runtimes.http.served import Served
from headrace.runtimes.pod import processes
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.protocols import example, grpc, inference_messages, messages, open_inference
from headrace.runtimes.protocols.answers import Headers
from headrace.runtimes.protocols.errors import Failure
from headrace.runtimes.protocols.open_inference import InferRequest, Tensor
from headrace.runtimes.queue.dispatcher import Dispatcher
from headrace.runtimes.queue.memory import MemoryAccount
from headrace.runtimes.queue.request_metrics import RequestMetrics
from headrace.runtimes.workers.described_model import DescribedModel

log = logging.getLogger("headrace.front")

INVOCATIONS: Final = "invocations"
REST: Final = "Open Inference REST"
GRPC: Final = "Open Inference gRPC"
_MIB: Final = 1024 * 1024
_LONGEST_TEXT: Final = 300
_MOST_TOLD: Final = 8
"""Differences that are told: it takes no more to know that something is wrong."""
_MOST_SHOWN_BYTES: Final = 64 * 1024
"""Of an inference request that is kept to be shown."""


class _Asked(NamedTuple):
    """A request on its way."""

    protocol: str
    sink: "_Sink"
    batch: Batch | None
    """What a worker gets of it; None where the shell has answered by itself."""


class ProtocolProof:
    """What is found out, once, when the pod's first worker has loaded the model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.proof: Proof | None = None
        """None until the model can be asked."""
        self.inference_request: bytes | None = None
        """The request that the example was made into; None where there is none, or it is long."""
        self._asked: list[_Asked] = []
        self._desk: _Desk | None = None
        self._expected: Any = None
        self._outputs: tuple[Tensor, ...] = ()
        self._begun = False
        self._found: dict[str, Any] = {}
        """Of the Proof, what is known already."""

    def requests(self, described: Mapping[str, Any], given: tuple[bytes, bytes] | None) -> Sequence[Work]:
        """What a worker is to answer of the example, which is given with its answer; nothing where there is none."""
        self._begun = True
        call = described.get("first_call")
        self._found = {"has_example": call is not None}
        if call is None:
            self._found["not_asked"] = "the model was logged without an input example"
            return []
        self._found |= {
            "call_milliseconds": round(float(call["milliseconds"]), 3),
            "call_cpu_milliseconds": round(float(call["cpu_milliseconds"]), 3),
            "call_memory_mib": None if call["memory_mib"] is None else round(float(call["memory_mib"]), 2),
        }
        if given is None:
            self._found["not_asked"] = "the example is too large to be asked over HTTP at a start"
            return []
        try:
            return self._ask(DescribedModel(described), *given)
        except Exception:  # a proof that fails is no reason to serve nobody
            log.exception("the protocols cannot be proven")
            self._found["not_asked"] = "the proof failed, the pod's log says how"
            return []

    def answered(self, outcomes: Sequence[Outcome | None]) -> None:
        """What the worker made of the requests, in their order; None: the model was not called again for it."""
        try:
            self._compare(outcomes)
        except Exception:
            log.exception("the answers of the protocols cannot be compared")
            self._found["not_asked"] = "the proof failed, the pod's log says how"
        self._asked, self._desk, self._expected, self._outputs = [], None, None, ()

    def finished(self, pid: int, spawned: float) -> None:
        """The worker or the engine `pid` can be asked; it started at `spawned`, in monotonic seconds."""
        if not self._begun:
            self.recall()
            return
        held = sum(map(processes.resident_bytes, (os.getppid(), os.getpid(), pid)))
        self.proof = Proof(
            version=self._settings.version,
            image=self._settings.image,
            time=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            load_seconds=round(time.monotonic() - spawned, 3),
            memory_mib=round(held / _MIB, 1),
            **self._found,
        )
        log.info("proven: %s", self.proof.sentence()) if self.proof.holds else log.error("%s", self.proof.sentence())
        with contextlib.suppress(OSError):  # a front that takes over would have nothing to tell
            self._file.write_text(json.dumps(encode(self.proof)))

    def recall(self) -> None:
        """Takes over what the front before this one found out: its workers were found running."""
        self.proof = _read(self._file)

    def engine_ready(self, name: str, pid: int, spawned: float) -> None:
        """The same of an engine, which is not asked for the example; of its first start alone."""
        if self.proof is not None:
            return
        self._begun = True
        self._found = {"has_example": False, "not_asked": f"{name} serves it, which is not asked for the example"}
        self.finished(pid, spawned)

    @property
    def _file(self) -> Path:
        return self._settings.run_directory / "proof.json"

    def _ask(self, model: DescribedModel, body: bytes, answer: bytes) -> Sequence[Work]:
        document = orjson.loads(body)
        if type(document) is dict and document.get("stream") is True:
            self._found["not_asked"] = "the example asks for a stream"
            return []
        self._expected = orjson.loads(answer)
        desk = self._desk = _Desk(self._settings, model)
        self._send(desk, INVOCATIONS, "/invocations", b"application/json", body)
        try:
            inputs = example.inputs_of(document, model.signature)
            self._outputs = open_inference.outputs_of(self._expected["predictions"], model.signature)
        except (example.NoTensorsError, InputError) as error:
            self._found["not_asked"] = _short(f"not over the Open Inference Protocol: {error}")
        else:
            request = InferRequest(identity=None, inputs=inputs, outputs=None, binary=False)
            text = orjson.dumps(open_inference.written(request, binary=False)[0])
            self.inference_request = text if len(text) <= _MOST_SHOWN_BYTES else None
            self._send(desk, REST, f"{paths_of(self._settings)[0]}/infer", b"application/json", text)
            message = inference_messages.written(request, model=self._settings.endpoint).SerializeToString()
            framed = grpc.PREFIX.pack(0, len(message)) + message
            self._send(desk, GRPC, f"/{names.GRPC_SERVICE}/ModelInfer", grpc.CONTENT_TYPE.encode(), framed)
        return [asked.batch.calls[0].work for asked in self._asked if asked.batch is not None]

    def _send(self, desk: "_Desk", protocol: str, path: str, content_type: bytes, body: bytes) -> None:
        sink, batch = desk.send(path, content_type, body)
        self._asked.append(_Asked(protocol, sink, batch))

    def _compare(self, outcomes: Sequence[Outcome | None]) -> None:
        left, told, compared, others = list(outcomes), [], [], []
        for protocol, sink, batch in self._asked:
            outcome = left.pop(0) if batch is not None else None
            if batch is not None and outcome is None:
                others.append(protocol)
                continue
            if batch is not None and self._desk is not None:
                self._desk.dispatcher.finished(batch, [outcome], None)
            compared.append(protocol)
            told += [f"{protocol}: {difference}" for difference in self._differences(protocol, _HttpAnswer.of(sink))]
        self._found |= {"protocols": tuple(compared), "differences": tuple(map(_short, told[:_MOST_TOLD]))}
        if others:
            why = f"over {' and '.join(others)} the model gets another input than from the example"
            self._found["not_asked"] = "; ".join(filter(None, (self._found.get("not_asked"), why)))

    def _differences(self, protocol: str, answer: "_HttpAnswer") -> Sequence[str]:
        refused = answer.refusal()
        if refused is not None:
            return [refused]
        if protocol == INVOCATIONS:
            return [] if orjson.loads(answer.body) == self._expected else ["another answer than the prediction"]
        if protocol == REST:
            found = open_inference.read_outputs(orjson.loads(answer.body)["outputs"], b"")
        else:
            message = messages.parsed("ModelInferResponse", answer.body[grpc.PREFIX.size :])
            found = inference_messages.read_outputs(message)
        return example.differences(self._outputs, found)


def _short(text: str) -> str:
    """What a terminal shows of a text that may hold names, or words, of a model's own."""
    text = "".join([letter if letter.isprintable() else "�" for letter in " ".join(text.split())])
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"


def _read(path: Path) -> Proof | None:
    try:
        return decode(Proof, json.loads(path.read_text()))
    except (OSError, ValueError, InputError):
        return None


class _Sink(asyncio.Transport):
    """A caller's end of a connection: keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: Any) -> None:
        """Keeps bytes of an answer."""
        self.written.append(bytes(data))

    def can_write_eof(self) -> bool:
        """There is nobody to be told."""
        return False

    def close(self) -> None:
        """There is nothing to end; nor for the others."""

    abort = pause_reading = resume_reading = close


class _HttpAnswer:
    """An answer as a client reads it."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.body = b""

    @classmethod
    def of(cls, sink: _Sink) -> "_HttpAnswer":
        """What a caller was sent."""
        made = cls()
        parser: Any = httptools.HttpResponseParser(made)
        parser.feed_data(b"".join(sink.written))
        made.status = parser.get_status_code()
        return made

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has read a header or a trailer."""
        self.fields[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """The parser has read some of the body."""
        self.body += body

    def refusal(self) -> str | None:
        """What was said instead of an answer; None where there is one. A failure of gRPC is 200, too."""
        code = self.fields.get(b"grpc-status", b"0")
        if self.status == 200 and code == b"0":
            return None
        said = self.fields.get(b"grpc-message") or self.body
        status = f"status {self.status}" if code == b"0" else f"gRPC status {code.decode()}"
        return f"{status} ({said.decode(errors='replace').strip()})"


class _Desk:
    """The HTTP shell with nobody but us before it: the routes of the pod, and a worker that keeps what it is given."""

    def __init__(self, settings: Settings, model: DescribedModel) -> None:
        self.memory = MemoryAccount(None)
        self.metrics = RequestMetrics(time.monotonic)
        self.dispatcher = Dispatcher(
            self.metrics, limit=8, timeout_seconds=settings.timeout_seconds, clock=time.monotonic
        )
        worker = _Keeper()
        self._kept = worker.batches
        self.dispatcher.workers = [worker]
        self.abandon: Callable[[Call], None] = self.dispatcher.abandon
        self.memory_refusal: Callable[[], Failure] = self.dispatcher.admission.refuse
        self.connections: set[Connection] = set()
        self.now = 0
        self.date_line = b""
        self.draining = False
        self.version = settings.version
        self.common: Headers = ()
        self.on_record: Callable[[Record], None] | None = None
        self.keeps_answers = False
        self.on_fault: Callable[[Exchange], None] | None = None
        served = Served(settings, self.dispatcher, on_fatal=lambda reason: None)
        served.backend = cast(Backend, _ReadyBackend())
        inference = OpenInferenceRoutes(served, lambda: model)
        self._router = Router({**ScoringRoutes(served, lambda: model).routes(), **inference.routes()})
        self._router.add(GrpcRoutes(served, inference).routes())

    def send(self, path: str, content_type: bytes, body: bytes) -> tuple[_Sink, Batch | None]:
        """One request; what a worker gets of it, or None where it is answered by now."""
        connection, sink = Connection(self, self._router.handle, allowed=self._router.allowed), _Sink()
        connection.connection_made(sink)
        head = b"POST %s HTTP/1.1\r\nhost: pod\r\ncontent-type: %s\r\n" % (path.encode(), content_type)
        connection.data_received(b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), body))
        self.dispatcher.pump()
        return sink, self._kept.pop() if self._kept else None


class _ReadyBackend:
    """A backend that could answer."""

    ready = True

    def look(self) -> None:
        """There is nothing to be read."""


class _Keeper:
    """A worker that keeps its calls; what it keeps is answered by another one."""

    merges = False

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def width(self) -> int:
        """More than are asked."""
        return 8

    free = width

    def given_up(self) -> int:
        """None."""
        return 0

    def room(self) -> float:
        """The same."""
        return 8.0

    def crowded(self, now: float) -> bool:
        """It never is."""
        del now
        return False

    def relaxed(self) -> None:
        """It always is."""

    def take(self, batch: Batch) -> None:
        """Keeps a call."""
        self.batches.append(batch)

    def cancel(self, batch: Batch) -> None:
        """Nobody leaves."""
