"""gRPC's questions to an engine that speaks the Open Inference Protocol over REST: one conversion, as in the front."""

from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from headrace.contract.runtime import Protocol
from headrace.runtimes.engine.forward import LOST, Forward
from headrace.runtimes.front.answers import Answer, refusal
from headrace.runtimes.front.openai import Events
from headrace.runtimes.protocol import open_inference
from headrace.runtimes.protocol.open_inference import JSON_LENGTH_HEADER, InferRequest, Tensor

if TYPE_CHECKING:
    from headrace.runtimes.engine.app import EngineFront

_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")


class Inference:
    """What is asked of the engine's model."""

    def __init__(self, front: "EngineFront", forward: Forward) -> None:
        self._front = front
        self._forward = forward

    async def described(self) -> dict[str, Any] | Answer:
        """The model's metadata, under the endpoint's name and version."""
        front = self._front
        if front.plan.protocol is not Protocol.OPEN_INFERENCE:
            return _unspoken()
        if not front.serving:
            return front.not_ready()
        told = await self._forward.described()
        if isinstance(told, Answer):
            return told
        settings = front.settings
        return {
            "name": settings.endpoint,
            "versions": [settings.version] if settings.version else [],
            "platform": str(told.get("platform", "")),
            "inputs": [_tensor(one) for one in told.get("inputs", ())],
            "outputs": [_tensor(one) for one in told.get("outputs", ())],
        }

    async def inferred(
        self, request: InferRequest, held: MutableMapping[str, Any], *, timeout_seconds: float | None = None
    ) -> Sequence[Tensor] | Answer:
        """The outputs that the request asks for. A caller's own limit is kept by its protocol, which cancels."""
        del timeout_seconds
        front = self._front
        if front.plan.protocol is not Protocol.OPEN_INFERENCE:
            return _unspoken()
        if not front.pool.ready:
            return front.turned_away()
        told = await self._forward.described()
        if isinstance(told, Answer):
            return told
        document, raw = open_inference.written(request, binary=self._forward.binary)
        text = orjson.dumps(document)
        length = JSON_LENGTH_HEADER.encode()
        headers = (_BINARY, (length, str(len(text)).encode())) if raw else (_JSON,)
        for tensor in request.inputs:
            tensor.values.clear()  # several times as large as the bytes that wait
        front.hold(held, len(text) + len(raw))
        path = f"/v2/models/{front.settings.endpoint}/infer"
        answer = await self._forward.admitted("POST", path, headers, text + raw, translate=True)
        if isinstance(answer, Events):
            return LOST  # no v2 engine streams its answer to infer
        if answer.status != 200:
            return answer
        given = dict(answer.headers).get(length)
        at = len(answer.body) if given is None else int(given)
        outputs = open_inference.read_outputs(orjson.loads(answer.body[:at])["outputs"], answer.body[at:])
        return open_inference.chosen(request, outputs)


def _tensor(described: Any) -> dict[str, Any]:
    return {
        "name": str(described["name"]),
        "datatype": str(described["datatype"]),
        "shape": [int(length) for length in described["shape"]],
    }


def _unspoken() -> Answer:
    message = "This model's engine does not speak the Open Inference Protocol; use /invocations."
    return refusal(501, "NOT_IMPLEMENTED", message)
