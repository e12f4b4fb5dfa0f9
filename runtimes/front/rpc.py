"""The Open Inference Protocol over gRPC: a listener of its own in front of the same model, limits and queue as HTTP.

A refusal is the one that REST would give: its status as gRPC's code, its sentence as the message, and when to come back
in the trailing metadata. gRPC's deadline, or a caller that leaves, cancels the call and with it a place in the queue.
"""

# mypy: disable-error-code="import-untyped"
# grpcio carries no types.

import asyncio
import json
import logging
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, Protocol

import grpc.aio
from google.protobuf.message import DecodeError

from headrace.contract import names
from headrace.contract.errors import InputError
from headrace.runtimes.front import media, messages
from headrace.runtimes.front.answers import Answer, refusal
from headrace.runtimes.front.inference import elsewhere
from headrace.runtimes.front.load import Load
from headrace.runtimes.front.settings import Settings
from headrace.runtimes.protocol import inference_messages, open_inference
from headrace.runtimes.protocol.open_inference import InferRequest, Tensor

log = logging.getLogger("headrace.front")

Metadata = tuple[tuple[str, str], ...]

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", media.BODY_LIMIT),  # of a compressed message: when it is inflated
    ("grpc.max_send_message_length", -1),
    # A port that another process has is an error, as it is for HTTP.
    ("grpc.so_reuseport", 0),
)
_CODES: Final = {
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_PUSHBACK: Final = "grpc-retry-pushback-ms"
"""What gRPC's own clients read as the time to wait, beside `retry-after` in seconds for people and proxies."""
_IDENTITY: Final = re.compile(r"[!-~]{1,128}")


class Served(Protocol):
    """The model behind the listener, whatever runs it."""

    settings: Settings
    load: Load
    common: tuple[tuple[bytes, bytes], ...]

    @property
    def serving(self) -> bool:
        """Whether it is ready and stays."""

    async def described(self) -> dict[str, Any] | Answer:
        """The model's metadata."""

    def read_message(self, message: Any) -> InferRequest:
        """Reads a ModelInferRequest; InputError says what is wrong with it."""

    async def inferred(
        self, request: InferRequest, held: MutableMapping[str, Any], *, timeout_seconds: float | None = None
    ) -> Sequence[Tensor] | Answer:
        """The outputs that the request asks for; InputError says what is wrong with it."""

    def has_room(self, size: int) -> bool:
        """Whether the pod's memory has room for a request of so many bytes."""

    def hold(self, request: MutableMapping[str, Any], size: int) -> None:
        """Counts so many bytes for a request, instead of what was counted for it before."""

    def crowded_out(self) -> Answer:
        """Counts and refuses a request for which there is no room."""


class Rpc:
    """The listener and its methods."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._server: Any = None
        self._leaving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listens; RuntimeError when the port is taken."""
        settings = self._served.settings
        if not settings.grpc_port:
            return
        server = grpc.aio.server(options=_OPTIONS)
        alone = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
        }
        handlers = {name: grpc.unary_unary_rpc_method_handler(_method(name, work)) for name, work in alone.items()}
        # To the caller it is unary; read as a stream, its message is not taken in before there is room for it.
        handlers["ModelInfer"] = grpc.stream_unary_rpc_method_handler(self._model_infer)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(names.GRPC_SERVICE, handlers),))
        server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
        await server.start()
        self._server = server

    def leave(self, seconds: float) -> None:
        """Accepts nothing new, and gives what runs so long to finish."""
        if self._server is not None and self._leaving is None:
            self._leaving = asyncio.create_task(self._server.stop(seconds))

    async def left(self) -> None:
        """Returns when nothing runs any more."""
        self.leave(0)
        if self._leaving is not None:
            await self._leaving

    async def _server_live(self, request: Any) -> Any:
        del request
        return messages.made("ServerLiveResponse", live=True)

    async def _server_ready(self, request: Any) -> Any:
        del request
        return messages.made("ServerReadyResponse", ready=self._served.serving)

    async def _model_ready(self, request: Any) -> Any:
        refused = self._elsewhere(request.name, request.version)
        return messages.made("ModelReadyResponse", ready=self._served.serving) if refused is None else refused

    async def _server_metadata(self, request: Any) -> Any:
        del request
        version = self._served.settings.version
        extensions = open_inference.EXTENSIONS
        return messages.made("ServerMetadataResponse", name="headrace", version=version, extensions=extensions)

    async def _model_metadata(self, request: Any) -> Any:
        refused = self._elsewhere(request.name, request.version)
        described = await self._served.described() if refused is None else refused
        return described if isinstance(described, Answer) else messages.made("ModelMetadataResponse", **described)

    def _elsewhere(self, name: str, version: str) -> Answer | None:
        settings = self._served.settings
        return elsewhere(name, version, endpoint=settings.endpoint, served=settings.version)

    async def _model_infer(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        served = self._served
        held: dict[str, Any] = {}
        try:
            made = await _guarded(lambda: self._infer(requests, context, held))
        finally:
            served.hold(held, 0)
        status = made.status if isinstance(made, Answer) else 200
        served.load.answers[status] += 1
        common = tuple((name.decode(), value.decode("latin-1")) for name, value in served.common)
        return await _ended(context, made, common)

    async def _infer(self, requests: AsyncIterator[bytes], context: Any, held: dict[str, Any]) -> Any:
        served = self._served
        length = _said(context, "content-length")
        expected = int(length) if length.isdecimal() and len(length) < 10 else media.UNKNOWN_LENGTH
        if not served.has_room(expected):
            return served.crowded_out()
        served.hold(held, expected)
        data = await anext(requests, None)
        if data is None:
            return refusal(400, "BAD_REQUEST", "The call ended without a request.")
        served.hold(held, len(data))
        message = _parsed("ModelInfer", data)
        if isinstance(message, Answer):
            return message
        refused = self._elsewhere(message.model_name, message.model_version)
        if refused is not None:
            return refused
        request, identity = served.read_message(message), message.id
        del data, message
        outputs = await served.inferred(request, held, timeout_seconds=context.time_remaining())
        if isinstance(outputs, Answer):
            return outputs
        settings = served.settings
        made = messages.made(
            "ModelInferResponse",
            model_name=settings.endpoint,
            model_version=settings.version,
            id=identity,
        )
        inference_messages.fill(made, outputs, raw=request.binary)
        return made


def _method(name: str, work: Callable[[Any], Awaitable[Any]]) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """A unary method that reads one message and answers one."""

    async def answer(data: bytes, context: Any) -> bytes:
        async def worked() -> Any:
            message = _parsed(name, data)
            return message if isinstance(message, Answer) else await work(message)

        return await _ended(context, await _guarded(worked), ())

    return answer


def _parsed(method: str, data: bytes) -> Any:
    message = messages.CLASSES[f"{method}Request"]()
    try:
        message.ParseFromString(data)
    except DecodeError:
        return refusal(400, "BAD_REQUEST", f"The request is not a valid {method}Request message.")
    return message


async def _guarded(work: Callable[[], Awaitable[Any]]) -> Any:
    """What `work` answers; a fault of the request and a failure of ours as refusals, neither with its content."""
    try:
        return await work()
    except InputError as error:
        return refusal(400, "BAD_REQUEST", "; ".join(error.faults))
    except Exception:
        log.exception("a request failed inside the front")
        return refusal(500, "INTERNAL_ERROR", "The server failed to handle this request; its log says why.")


async def _ended(context: Any, made: Any, common: Metadata) -> bytes:
    """Ends the call: with the message, or with the status and trailing metadata that the refusal means."""
    asked = _said(context, names.REQUEST_ID_HEADER)
    # A new id must be unique, not hard to guess.
    identity = asked if _IDENTITY.fullmatch(asked) else f"{random.getrandbits(128):032x}"
    trailing = ((names.REQUEST_ID_HEADER, identity), *common)
    if isinstance(made, Answer):
        code, message, hints = status_of(made)
        await context.abort(code, message, (*trailing, *hints))
    context.set_trailing_metadata(trailing)
    encoded: bytes = made.SerializeToString()
    return encoded


def _said(context: Any, name: str) -> str:
    """A header of the call; empty where it has none."""
    for key, value in context.invocation_metadata() or ():
        if key == name:
            return str(value)
    return ""


def status_of(answer: Answer) -> tuple[Any, str, Metadata]:
    """gRPC's code, message and trailing metadata for a refusal."""
    otherwise = grpc.StatusCode.INTERNAL if answer.status >= 500 else grpc.StatusCode.INVALID_ARGUMENT
    told = json.loads(answer.body)
    message = str(told["error"] if "error" in told else told["message"])
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    hints: list[tuple[str, str]] = [
        (name, headers[name]) for name in ("retry-after", names.UNPROCESSED_HEADER) if name in headers
    ]
    if "retry-after" in headers:
        hints.append((_PUSHBACK, str(1000 * int(headers["retry-after"]))))
    return _CODES.get(answer.status, otherwise), message, tuple(hints)
