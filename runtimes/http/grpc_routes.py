"""The Open Inference Protocol over gRPC: the same model, limits and queue as over REST.

A failure is the one that REST would give: its status as gRPC's code, its sentence as the message. gRPC's deadline
bounds a call's time in the queue; a caller that leaves ends its connection, and with it gives up its place.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.runtimes.calls import Outcome
from headrace.runtimes.http.exchange import Exchange
from headrace.runtimes.http.open_inference_routes import InferenceModel, elsewhere
from headrace.runtimes.http.routes import Handled, Route
from headrace.runtimes.http.served import Served
from headrace.runtimes.http.submission import refuse
from headrace.runtimes.protocols import doubles, errors, grpc, inference_messages, messages, open_inference
from headrace.runtimes.protocols.answers import Answer
from headrace.runtimes.protocols.errors import Failure, Reason
from headrace.runtimes.protocols.message_forms import MessageForms
from headrace.runtimes.protocols.open_inference import InferRequest, Tensor

_NO_GRPC = Failure(Reason.UNSUPPORTED_TYPE, "Content-Type must be application/grpc.")


class GrpcRoutes:
    """The methods of the service."""

    def __init__(self, served: Served, model: InferenceModel) -> None:
        self._served, self._model = served, model
        self._forms = MessageForms()

    def routes(self) -> dict[str, Route]:
        """What is at each path."""
        made = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
        }
        found = {f"/{names.GRPC_SERVICE}/{name}": Route("POST", _reading(name, ask)) for name, ask in made.items()}
        found[f"/{names.GRPC_SERVICE}/ModelMetadata"] = Route("POST", _reading("ModelMetadata", self._model_metadata))
        found[f"/{names.GRPC_SERVICE}/ModelInfer"] = Route("POST", self._model_infer, predicts=True)
        return found

    def _server_live(self, request: Any) -> Handled:
        del request
        return _answered("ServerLiveResponse", live=True)

    def _server_ready(self, request: Any) -> Handled:
        del request
        return _answered("ServerReadyResponse", ready=self._served.serving)

    def _model_ready(self, request: Any) -> Handled:
        refused = elsewhere(request.name, request.version, self._served.settings)
        return _answered("ModelReadyResponse", ready=self._served.serving) if refused is None else refused

    def _server_metadata(self, request: Any) -> Handled:
        del request
        version, extensions = self._served.settings.version, open_inference.EXTENSIONS
        return _answered("ServerMetadataResponse", name="headrace", version=version, extensions=extensions)

    def _model_metadata(self, request: Any) -> Handled:
        refused = elsewhere(request.name, request.version, self._served.settings)
        return self._described() if refused is None else refused

    async def _described(self) -> Outcome:
        described = await self._model.described()
        return described if isinstance(described, Failure) else _answered("ModelMetadataResponse", **described)

    def _model_infer(self, exchange: Exchange) -> Handled:
        served = self._served
        if served.backend.ready and served.dispatcher.admission.full():
            return refuse(served)
        data = _data(exchange)
        if isinstance(data, Failure):
            return data
        limit = grpc.timeout_seconds(exchange.fields.get(b"grpc-timeout"))
        try:
            request = self._read(data)
            if isinstance(request, Failure):
                return request
            return self._model.inferred(request, exchange, self._worded, timeout_seconds=limit)
        except InputError as error:
            return errors.of_input(error)

    def _read(self, data: bytes) -> InferRequest | Failure:
        """A ModelInferRequest, if it is for this model. InputError says what is wrong with it."""
        known = self._forms.read(data, self._model.pack)
        message = known.address if known is not None else inference_messages.parsed(data)
        refused = elsewhere(message.model_name, message.model_version, self._served.settings)
        if refused is not None:
            return refused
        if known is not None:
            return replace(known.said, identity=message.id or None, packed=known.packed)
        inputs = doubles.of_message(message)
        packed = self._model.pack(inputs) if inputs is not None else None
        if inputs is None or packed is None:
            return inference_messages.read_message(message)
        request = inference_messages.around(message, packed=packed)
        self._forms.learn(data, request, inputs)
        return request

    def _worded(self, request: InferRequest, outputs: Sequence[Tensor]) -> Answer:
        settings = self._served.settings
        made = messages.made(
            "ModelInferResponse",
            model_name=settings.endpoint,
            model_version=settings.version,
            id=request.identity or "",
        )
        inference_messages.fill(made, outputs, raw=request.binary)
        return grpc.answer(made.SerializeToString())


def _reading(method: str, ask: Callable[[Any], Handled]) -> Callable[[Exchange], Handled]:
    """A handler that reads one message and answers one."""

    def handle(exchange: Exchange) -> Handled:
        message = _message(method, exchange)
        return message if isinstance(message, Failure) else ask(message)

    return handle


def _data(exchange: Exchange) -> bytes | Failure:
    """The bytes of the request's message."""
    if not exchange.fields.get(b"content-type", b"").startswith(grpc.CONTENT_TYPE.encode()):
        return _NO_GRPC
    data = grpc.message_of(exchange.body, exchange.fields.get(b"grpc-encoding"))
    if isinstance(data, Failure):
        return data
    exchange.hold(len(data))
    return data


def _message(method: str, exchange: Exchange) -> Any:
    """The request's message, or the failure of what is none."""
    data = _data(exchange)
    if isinstance(data, Failure):
        return data
    message = messages.parsed(f"{method}Request", data)
    if message is None:
        return Failure(Reason.BAD_REQUEST, f"The request is not a valid {method}Request message.")
    return message


def _answered(kind: str, **fields: Any) -> Outcome:
    return grpc.answer(messages.made(kind, **fields).SerializeToString())
