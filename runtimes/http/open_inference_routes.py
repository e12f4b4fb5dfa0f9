"""The Open Inference Protocol in front of our own workers, over REST; gRPC (`grpc_routes`) asks the same questions."""

import logging
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, TypeAlias

import orjson

from headrace.contract.errors import InputError, PermanentError
from headrace.runtimes.calls import ModelInput, Outcome, Waiting, Work
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.http.submission import plain_body, refuse, submit
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.protocols import (
    errors,
    infer_headers,
    open_inference,
    packing,
    request_body,
    result_json,
    tables,
)
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.doubles import Doubles
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.protocols.open_inference import InferRequest, Tensor
from headrace.runtimes.workers.described_model import DescribedModel

log = logging.getLogger("headrace.front")

_MODEL: Final = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?:infer|ready))?")


Worded: TypeAlias = Callable[[InferRequest, Sequence[Tensor]], Answer]
"""The answer of a protocol that carries the outputs of a request."""


class InferenceModel(Protocol):
    """What gRPC asks of a model, whoever evaluates it."""

    async def described(self) -> dict[str, Any] | Failure:
        """The model's metadata."""

    def pack(self, inputs: Doubles) -> bytes | None:
        """Inputs as a worker takes them; None where a request is to be read input by input."""

    def inferred(
        self, request: InferRequest, exchange: Exchange, worded: Worded, *, timeout_seconds: float | None = None
    ) -> Handled:
        """Hands the request on, and answers with the outputs that it asks for, as `worded` puts them.

        InputError says what is wrong with the request.
        """


def paths_of(settings: Settings) -> list[str]:
    """The paths of the served model, its version named or not."""
    model = f"/v2/models/{settings.endpoint}"
    return [model, f"{model}/versions/{settings.version}"] if settings.version else [model]


def missing(path: str, settings: Settings) -> Failure:
    """Why there is nothing at a path under /v2: another model, another version, or no such question."""
    found = _MODEL.fullmatch(path)
    if found is None:
        return errors.NOTHING_HERE
    return elsewhere(found["name"], found["version"] or "", settings) or errors.NOTHING_HERE


def elsewhere(name: str, version: str, settings: Settings) -> Failure | None:
    """The failure of a model or version that is not served here; an empty version is any."""
    if name != settings.endpoint:
        return errors.NO_SUCH_MODEL
    return None if version in ("", settings.version) else errors.NO_SUCH_VERSION


class Translated:
    """Who waits for an outcome in this protocol's words, where a worker gives it in MLflow's."""

    __slots__ = ("_to", "_waiting")

    def __init__(self, waiting: Waiting, to: Callable[[Outcome], Outcome]) -> None:
        self._waiting, self._to = waiting, to

    def done(self) -> bool:
        """Whether the outcome has come."""
        return self._waiting.done()

    def set_result(self, outcome: Outcome, /) -> None:
        """Takes the outcome."""
        told: Outcome
        try:
            told = self._to(outcome)
        except Exception:
            log.exception("a request failed inside the front")
            told = errors.FAILED_INSIDE
        self._waiting.set_result(told)


class OpenInferenceRoutes:
    """What is asked of the model, and answers under /v2."""

    def __init__(self, served: Served, model: Callable[[], DescribedModel]) -> None:
        self._served, self._model = served, model

    def routes(self) -> dict[str, Route]:
        """What is at each path."""
        settings = self._served.settings
        about = {"name": "headrace", "version": settings.version, "extensions": open_inference.EXTENSIONS}
        models = {"models": [settings.endpoint]}
        found = {
            "/v2": Route("GET", lambda _: Answer(200, orjson.dumps(about))),
            "/v2/models": Route("GET", lambda _: Answer(200, orjson.dumps(models))),
        }
        for path in paths_of(settings):
            found[path] = Route("GET", lambda _: self._metadata())
            found[f"{path}/ready"] = Route("GET", lambda _: self._ready())
            found[f"{path}/infer"] = Route("POST", self.infer, predicts=True)
        return found

    def _metadata(self) -> Answer | Failure:
        served = self._served
        if not served.serving:
            return served.not_ready()
        settings = served.settings
        return Answer(200, result_json.written(self._model().signature.metadata(settings.endpoint, settings.version)))

    def _ready(self) -> Answer | Failure:
        served = self._served
        if not served.serving:
            return served.not_ready()
        return Answer(200, orjson.dumps({"name": served.settings.endpoint, "ready": True}))

    async def described(self) -> dict[str, Any] | Failure:
        """The model's metadata."""
        served = self._served
        if not served.serving:
            return served.not_ready()
        return self._model().signature.metadata(served.settings.endpoint, served.settings.version)

    def inferred(
        self, request: InferRequest, exchange: Exchange, worded: Worded, *, timeout_seconds: float | None = None
    ) -> Handled:
        """Hands a request to the queue. InputError says what is wrong with it."""
        served = self._served
        if not served.backend.ready:
            return served.turned_away()
        work = self._work(request)
        if isinstance(work, Failure):
            return work
        exchange.hold(len(work.body))
        waiting = Translated(exchange, lambda outcome: self._told(request, outcome, worded))
        return submit(served, exchange, work, waiting, timeout_seconds=timeout_seconds)

    def pack(self, inputs: Doubles) -> bytes | None:
        """The inputs as a worker takes them; None where they are not the columns or the tensor that the model takes."""
        return self._model().packer.doubles(inputs)

    def infer(self, exchange: Exchange) -> Handled:
        """Hands a request to the queue, or says why not."""
        served = self._served
        if not served.backend.ready:
            return served.turned_away()
        if served.dispatcher.admission.full():
            return refuse(served)
        length = exchange.fields.get(open_inference.JSON_LENGTH_HEADER.encode())
        body = plain_body(exchange, marked=length is not None)
        if isinstance(body, Failure):
            return body
        raw = b""
        if length is not None:
            if not (length.isdigit() and len(length) < 10) or int(length) > len(body):
                return Failure(Reason.BAD_REQUEST, "Inference-Header-Content-Length is not within the body's length.")
            body, raw = request_body.unmarked(body[: int(length)]), body[int(length) :]
        try:
            request = self._known(body, raw)
            if request is None:
                document = request_body.parse_json(body)
                if isinstance(document, Failure):
                    return document
                request = open_inference.read_request(document, raw)
            return self.inferred(request, exchange, self._worded)
        except InputError as error:
            return errors.of_input(error)

    def _known(self, text: bytes, raw: bytes) -> InferRequest | None:
        """A request of doubles in columns that the model takes; None where it is to be read input by input."""
        read = infer_headers.read_binary(text, raw) if raw else infer_headers.read_json(text)
        packed = self.pack(read.inputs) if read is not None else None
        return None if read is None or packed is None else replace(read.said, packed=packed)

    def _work(self, request: InferRequest) -> Work | Failure:
        """What a worker gets of a request: numbers as raw doubles, else MLflow's words for it.

        The inputs' values are let go: as Python's numbers they take several times their bytes, and what waits for a
        worker is counted instead. InputError says what is wrong with the request.
        """
        work: Work | None
        if request.packed is not None:
            work = packing.Packed(packing.PACKED, request.packed)
        else:
            work = self._model().packer.tensors(request.inputs)
        if work is None:
            if any(math.isinf(value) for tensor in request.inputs for value in tensor.values if type(value) is float):
                return Failure(Reason.BAD_REQUEST, "An input holds Infinity, which no scoring request can carry.")
            try:
                scoring = orjson.dumps(tables.scoring_request(request, self._model().signature))  # NaN becomes null
            except orjson.JSONEncodeError:  # only texts that hold JSON can be as deep as that
                return Failure(Reason.BAD_REQUEST, "An input holds JSON that is nested too deep.")
            work = ModelInput(request_body.JSON, scoring)
        for tensor in request.inputs:
            tensor.values.clear()
        return work

    def _told(self, request: InferRequest, outcome: Outcome, worded: Worded) -> Outcome:
        """A worker's outcome as the caller's protocol has it."""
        if not isinstance(outcome, Answer):
            return outcome
        try:
            predictions = result_json.read(outcome.body)["predictions"]
            outputs = open_inference.outputs_of(predictions, self._model().signature)
            return worded(request, open_inference.chosen(request, outputs))
        except InputError as error:
            return errors.of_input(error)
        except PermanentError as error:
            return errors.of_result(error)

    def _worded(self, request: InferRequest, outputs: Sequence[Tensor]) -> Answer:
        settings = self._served.settings
        told, binary = open_inference.render(request, outputs, model=settings.endpoint, version=settings.version)
        text = result_json.written(told)
        if not binary:
            return Answer(200, text)
        headers = (
            (b"content-type", b"application/octet-stream"),
            (open_inference.JSON_LENGTH_HEADER.encode(), b"%d" % len(text)),
        )
        return Answer(200, b"".join((text, *binary)), headers)
