"""The Open Inference Protocol's routes, on top of the same queue and workers as /invocations."""

import json
import math
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import orjson

from headrace.contract.errors import InputError
from headrace.runtimes.front import media
from headrace.runtimes.front.answers import Answer, refusal
from headrace.runtimes.protocol import open_inference
from headrace.runtimes.protocol.open_inference import Signature

if TYPE_CHECKING:
    from headrace.runtimes.front.app import Front

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_MODEL = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/infer|/ready)?/?")


def dialect(answer: Answer) -> Answer:
    """A refusal as this protocol words it: `{"error": text}`."""
    if answer.status < 400:
        return answer
    return Answer(answer.status, orjson.dumps({"error": json.loads(answer.body)["message"]}), answer.headers)


class OpenInference:
    """Answers under /v2."""

    def __init__(self, front: "Front") -> None:
        self._front = front
        self._signature: Signature | None = None

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Routes one request; refusals are in this protocol's words."""
        try:
            return dialect(await self._route(scope, receive))
        except InputError as error:
            return dialect(refusal(400, "BAD_REQUEST", "; ".join(error.faults)))

    async def _route(self, scope: Scope, receive: Receive) -> Answer:
        front, path, method = self._front, scope["path"].rstrip("/"), scope["method"]
        if path == "/v2/health/live":
            return Answer(200, b'{"live":true}')
        if path == "/v2/health/ready":
            if front.draining or not front.pool.ready:
                return front.not_ready()
            return Answer(200, b'{"live":true,"ready":true}')
        if path == "/v2":
            described = {"name": "headrace", "version": front.settings.version, "extensions": open_inference.EXTENSIONS}
            return Answer(200, orjson.dumps(described))
        if path == "/v2/models":
            return Answer(200, orjson.dumps({"models": [front.settings.endpoint]}))
        found = _MODEL.fullmatch(scope["path"])
        if found is None:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing at this path.")
        name, version = found["name"], found["version"]
        if name != front.settings.endpoint:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is no model of this name here.")
        if version is not None and version != front.settings.version:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "The model has no version of this name here.")
        wanted = "POST" if found["verb"] == "/infer" else "GET"
        if method != wanted:
            return refusal(405, "BAD_REQUEST", f"This path answers {wanted} only.", allow=wanted)
        if front.draining and wanted == "GET":
            return front.not_ready()
        if front.pool.description is None or not front.pool.ready:
            return front.not_ready()
        if found["verb"] == "/ready":
            return Answer(200, orjson.dumps({"name": name, "ready": True}))
        if self._signature is None:
            self._signature = Signature.of(front.pool.description["signature"])
        if found["verb"] is None:
            return Answer(200, orjson.dumps(self._signature.metadata(name, front.settings.version)))
        return front.counted(await self._infer(scope, receive, self._signature))

    async def _infer(self, scope: Scope, receive: Receive, signature: Signature) -> Answer:
        front = self._front
        body = await front.body(scope, receive)
        if isinstance(body, Answer):
            return body
        length = media.header(scope["headers"], open_inference.JSON_LENGTH_HEADER.encode())
        raw = b""
        if length is not None:
            if not length.isdigit() or int(length) > len(body):
                return refusal(400, "BAD_REQUEST", "Inference-Header-Content-Length is not within the body's length.")
            body, raw = body[: int(length)], body[int(length) :]
        fault = media.json_fault(body)
        if fault is not None:
            return fault
        request = open_inference.read_request(orjson.loads(body), raw)
        if any(math.isinf(value) for tensor in request.inputs for value in tensor.values if type(value) is float):
            return refusal(400, "BAD_REQUEST", "An input holds Infinity, which no scoring request can carry.")
        scoring = orjson.dumps(open_inference.scoring_request(request, signature))  # NaN is written as null
        answer = await front.dispatcher.score(media.JSON, scoring)
        if answer.status != 200:
            return answer
        outputs = open_inference.outputs_of(orjson.loads(answer.body)["predictions"], signature)
        document, binary = open_inference.render(
            request, outputs, model=front.settings.endpoint, version=front.settings.version
        )
        text = orjson.dumps(document)
        if not binary:
            return Answer(200, text)
        headers = (
            (b"content-type", b"application/octet-stream"),
            (open_inference.JSON_LENGTH_HEADER.encode(), str(len(text)).encode()),
        )
        return Answer(200, b"".join((text, *binary)), headers)
