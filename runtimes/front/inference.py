"""The Open Inference Protocol on top of the same queue and workers as /invocations: one conversion, two encodings.

`OpenInference` answers REST; gRPC (`rpc.py`) asks it the same questions.
"""

import json
import logging
import math
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from headrace.contract.errors import InputError
from headrace.runtimes.front import media, packing
from headrace.runtimes.front.answers import Answer, refusal
from headrace.runtimes.front.dispatch import Waiting
from headrace.runtimes.front.packing import Packed
from headrace.runtimes.protocol import doubles, inference_messages, open_inference, tables
from headrace.runtimes.protocol.open_inference import InferRequest, Signature, Tensor

if TYPE_CHECKING:
    from headrace.runtimes.front.app import Front

log = logging.getLogger("headrace.front")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_MODEL = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/infer|/ready)?/?")
_OF_THE_SERVER = frozenset(("/v2", "/v2/models", "/v2/health/live", "/v2/health/ready"))


def dialect(answer: Answer) -> Answer:
    """A refusal as this protocol words it: `{"error": text}`."""
    if answer.status < 400:
        return answer
    return Answer(answer.status, orjson.dumps({"error": json.loads(answer.body)["message"]}), answer.headers)


def elsewhere(name: str, version: str, *, endpoint: str, served: str) -> Answer | None:
    """The refusal of a model or version that is not served here; an empty version is any."""
    if name != endpoint:
        return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is no model of this name here.")
    if version not in ("", served):
        return refusal(404, "RESOURCE_DOES_NOT_EXIST", "The model has no version of this name here.")
    return None


class Asked(NamedTuple):
    """A request that was read, and what a worker gets of it."""

    request: InferRequest
    work: Packed


class Told:
    """Who waits for an answer in this protocol's words, where a worker gives it in MLflow's."""

    __slots__ = ("_inference", "_request", "_waiting")

    def __init__(self, inference: "OpenInference", request: InferRequest, waiting: Waiting) -> None:
        self._inference, self._request, self._waiting = inference, request, waiting

    def done(self) -> bool:
        """Whether the answer has come."""
        return self._waiting.done()

    def set_result(self, answer: Answer) -> None:
        """Takes the answer."""
        try:
            told = self._inference.told(self._request, answer)
        except Exception:
            log.exception("a request failed inside the front")
            told = refusal(500, "INTERNAL_ERROR", "The server failed to handle this request; its log says why.")
        self._waiting.set_result(dialect(told))


class OpenInference:
    """What is asked of the model, and answers under /v2."""

    def __init__(self, front: "Front") -> None:
        self._front = front
        self._read: Signature | None = None

    @property
    def _signature(self) -> Signature:
        if self._read is None and self._front.pool.description is not None:
            described = self._front.pool.description
            self._read = Signature.of(described["signature"], hinted=bool(described.get("hinted")))
        return self._read or Signature()

    async def described(self) -> dict[str, Any] | Answer:
        """The model's metadata."""
        front = self._front
        if front.draining or not front.pool.ready:
            return front.not_ready()
        return self._signature.metadata(front.settings.endpoint, front.settings.version)

    async def inferred(
        self, request: InferRequest, held: MutableMapping[str, Any], *, timeout_seconds: float | None = None
    ) -> Sequence[Tensor] | Answer:
        """The outputs that the request asks for. InputError says what is wrong with it.

        The inputs' values are let go before it waits: as Python's numbers they take several times their bytes. What
        waits for a worker is counted instead, see `Front.hold`.
        """
        front = self._front
        if not front.pool.ready:
            return front.turned_away()
        work = self._work(request)
        if isinstance(work, Answer):
            return work
        front.hold(held, len(work.body))
        answer = await front.dispatcher.score(work.content_type, work.body, timeout_seconds=timeout_seconds)
        return answer if answer.status != 200 else self._outputs(request, answer)

    def _read_document(self, document: Any, raw: bytes) -> InferRequest:
        plain = doubles.of_document(document, raw)
        packed = self._front.packer.doubles(plain) if plain is not None else None
        if packed is not None:
            return open_inference.around(document, packed=packed)
        return open_inference.read_request(document, raw)

    def read_message(self, message: Any) -> InferRequest:
        """Reads gRPC's message. InputError names what is wrong."""
        plain = doubles.of_message(message)
        packed = self._front.packer.doubles(plain) if plain is not None else None
        if packed is not None:
            return inference_messages.around(message, packed=packed)
        return inference_messages.read_message(message)

    def _work(self, request: InferRequest) -> Packed | Answer:
        """What a worker gets of a request: numbers as raw doubles, else MLflow's words for it. Its values are let go.

        InputError says what is wrong with it.
        """
        packed = (
            self._front.packer.tensors(request.inputs)
            if request.packed is None
            else Packed(packing.PACKED, request.packed)
        )
        if packed is None:
            if any(math.isinf(value) for tensor in request.inputs for value in tensor.values if type(value) is float):
                return refusal(400, "BAD_REQUEST", "An input holds Infinity, which no scoring request can carry.")
            try:
                scoring = orjson.dumps(tables.scoring_request(request, self._signature))  # NaN is written as null
            except orjson.JSONEncodeError:  # only texts that hold JSON can be as deep as that
                return refusal(400, "BAD_REQUEST", "An input holds JSON that is nested too deep.")
            packed = Packed(media.JSON, scoring)
        for tensor in request.inputs:
            tensor.values.clear()
        return packed

    def _outputs(self, request: InferRequest, answer: Answer) -> Sequence[Tensor]:
        outputs = open_inference.outputs_of(orjson.loads(answer.body)["predictions"], self._signature)
        return open_inference.chosen(request, outputs)

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Routes one request; refusals are in this protocol's words."""
        return dialect(await self._route(scope, receive))

    async def _route(self, scope: Scope, receive: Receive) -> Answer:
        front, path, method = self._front, scope["path"].rstrip("/"), scope["method"]
        found = _MODEL.fullmatch(scope["path"])
        wanted = "POST" if found is not None and found["verb"] == "/infer" else "GET"
        if (found is not None or path in _OF_THE_SERVER) and method != wanted and (wanted, method) != ("GET", "HEAD"):
            return refusal(405, "BAD_REQUEST", f"This path answers {wanted} only.", allow=wanted)
        if path in _OF_THE_SERVER:
            return self._of_the_server(path)
        if found is None:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing at this path.")
        name, version = found["name"], found["version"] or ""
        refused = elsewhere(name, version, endpoint=front.settings.endpoint, served=front.settings.version)
        if refused is not None:
            return refused
        if found["verb"] == "/infer":
            return front.counted(await self._infer(scope, receive))
        metadata = await self.described()
        if isinstance(metadata, Answer):
            return metadata
        return Answer(200, orjson.dumps({"name": name, "ready": True} if found["verb"] == "/ready" else metadata))

    def _of_the_server(self, path: str) -> Answer:
        front = self._front
        if path == "/v2/health/live":
            return Answer(200, b'{"live":true}')
        if path == "/v2/health/ready":
            if front.draining or not front.pool.ready:
                return front.not_ready()
            return Answer(200, b'{"live":true,"ready":true}')
        if path == "/v2":
            described = {"name": "headrace", "version": front.settings.version, "extensions": open_inference.EXTENSIONS}
            return Answer(200, orjson.dumps(described))
        return Answer(200, orjson.dumps({"models": [front.settings.endpoint]}))

    async def _infer(self, scope: Scope, receive: Receive) -> Answer:
        front = self._front
        if not front.pool.ready:
            return front.turned_away()
        body = await front.body(scope, receive)
        if isinstance(body, Answer):
            return body
        asked = self.asked(scope["headers"], body)
        if isinstance(asked, Answer):
            return asked
        front.hold(scope, len(asked.work.body))
        del body
        return self.told(asked.request, await front.dispatcher.score(asked.work.content_type, asked.work.body))

    def asked(self, headers: media.Headers, body: bytes) -> Asked | Answer:
        """Reads a request, or says what is wrong with it."""
        length = media.header(headers, open_inference.JSON_LENGTH_HEADER.encode())
        raw = b""
        if length is not None:
            if not (length.isascii() and length.isdigit() and len(length) < 10) or int(length) > len(body):
                return refusal(400, "BAD_REQUEST", "Inference-Header-Content-Length is not within the body's length.")
            body, raw = body[: int(length)], body[int(length) :]
        document = media.parse_json(body)
        if isinstance(document, Answer):
            return document
        try:
            request = self._read_document(document, raw)
            work = self._work(request)
        except InputError as error:
            return refusal(400, "BAD_REQUEST", "; ".join(error.faults))
        return work if isinstance(work, Answer) else Asked(request, work)

    def told(self, request: InferRequest, answer: Answer) -> Answer:
        """A worker's answer as this protocol has it; a refusal stays MLflow's, for `dialect`."""
        if answer.status != 200:
            return answer
        try:
            outputs = self._outputs(request, answer)
        except InputError as error:
            return refusal(400, "BAD_REQUEST", "; ".join(error.faults))
        settings = self._front.settings
        told, binary = open_inference.render(request, outputs, model=settings.endpoint, version=settings.version)
        text = orjson.dumps(told)
        if not binary:
            return Answer(200, text)
        headers = (
            (b"content-type", b"application/octet-stream"),
            (open_inference.JSON_LENGTH_HEADER.encode(), str(len(text)).encode()),
        )
        return Answer(200, b"".join((text, *binary)), headers)
