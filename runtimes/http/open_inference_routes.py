"""The Open Inference Protocol in front of our own workers, over REST; gRPC (`grpc_routes`) asks the same questions."""

import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import orjson

from headrace.contract.errors import InputError
from headrace.runtimes.calls import ModelInput, Outcome, Waiting, Work
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.http.submission import plain_body, refuse, submit
from headrace.runtimes.pod.settings import Settings
from headrace.runtimes.protocols import (
    doubles,
    errors,
    inference_messages,
    open_inference,
    packing,
    request_body,
    tables,
)
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.protocols.open_inference import InferRequest, Tensor
from headrace.runtimes.workers.described_model import DescribedModel

log = logging.getLogger("headrace.front")

_MODEL: Final = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?:infer|ready))?")


class InferenceModel(Protocol):
    """What gRPC asks of a model, whoever evaluates it."""

    async def described(self) -> dict[str, Any] | Failure:
        """The model's metadata."""

    def read_message(self, message: Any) -> InferRequest:
        """Reads a ModelInferRequest; InputError says what is wrong with it."""

    async def inferred(
        self, request: InferRequest, exchange: Exchange, *, timeout_seconds: float | None = None
    ) -> Sequence[Tensor] | Failure:
        """The outputs that the request asks for; InputError says what is wrong with it."""


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
        return Answer(200, orjson.dumps(self._model().signature.metadata(settings.endpoint, settings.version)))

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

    async def inferred(
        self, request: InferRequest, exchange: Exchange, *, timeout_seconds: float | None = None
    ) -> Sequence[Tensor] | Failure:
        """The outputs that the request asks for. InputError says what is wrong with it."""
        served = self._served
        if not served.backend.ready:
            return served.turned_away()
        work = self._work(request)
        if isinstance(work, Failure):
            return work
        exchange.hold(len(work.body))
        outcome = await served.dispatcher.infer(work, timeout_seconds=timeout_seconds)
        return self._outputs(request, outcome) if isinstance(outcome, Answer) else _failure(outcome)

    def read_message(self, message: Any) -> InferRequest:
        """Reads gRPC's message. InputError names what is wrong."""
        plain = doubles.of_message(message)
        packed = self._model().packer.doubles(plain) if plain is not None else None
        if packed is not None:
            return inference_messages.around(message, packed=packed)
        return inference_messages.read_message(message)

    def infer(self, exchange: Exchange) -> Handled:
        """Hands a request to the queue, or says why not."""
        served = self._served
        if not served.backend.ready:
            return served.turned_away()
        if served.dispatcher.admission.full():
            return refuse(served)
        body = plain_body(exchange)
        if isinstance(body, Failure):
            return body
        raw = b""
        length = exchange.fields.get(open_inference.JSON_LENGTH_HEADER.encode())
        if length is not None:
            if not (length.isdigit() and len(length) < 10) or int(length) > len(body):
                return Failure(Reason.BAD_REQUEST, "Inference-Header-Content-Length is not within the body's length.")
            body, raw = body[: int(length)], body[int(length) :]
        document = request_body.parse_json(body)
        if isinstance(document, Failure):
            return document
        try:
            request = self._read_document(document, raw)
            work = self._work(request)
        except InputError as error:
            return errors.of_input(error)
        if isinstance(work, Failure):
            return work
        exchange.hold(len(work.body))
        return submit(served, exchange, work, Translated(exchange, lambda outcome: self._told(request, outcome)))

    def _read_document(self, document: Any, raw: bytes) -> InferRequest:
        plain = doubles.of_document(document, raw)
        packed = self._model().packer.doubles(plain) if plain is not None else None
        if packed is not None:
            return open_inference.around(document, packed=packed)
        return open_inference.read_request(document, raw)

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

    def _outputs(self, request: InferRequest, answer: Answer) -> Sequence[Tensor]:
        outputs = open_inference.outputs_of(orjson.loads(answer.body)["predictions"], self._model().signature)
        return open_inference.chosen(request, outputs)

    def _told(self, request: InferRequest, outcome: Outcome) -> Outcome:
        """A worker's outcome as this protocol has it."""
        if not isinstance(outcome, Answer):
            return outcome
        try:
            outputs = self._outputs(request, outcome)
        except InputError as error:
            return errors.of_input(error)
        settings = self._served.settings
        told, binary = open_inference.render(request, outputs, model=settings.endpoint, version=settings.version)
        text = orjson.dumps(told)
        if not binary:
            return Answer(200, text)
        headers = (
            (b"content-type", b"application/octet-stream"),
            (open_inference.JSON_LENGTH_HEADER.encode(), b"%d" % len(text)),
        )
        return Answer(200, b"".join((text, *binary)), headers)


def _failure(outcome: Outcome) -> Failure:
    """Of a call in one piece that has no answer."""
    return outcome if isinstance(outcome, Failure) else errors.FAILED_INSIDE
