"""OpenAI's routes, on top of the same queue and workers as /invocations, and server-sent events for both."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from headrace.contract.errors import InputError
from headrace.runtimes.front import media
from headrace.runtimes.front.answers import Answer, refusal
from headrace.runtimes.front.streams import Stream
from headrace.runtimes.protocol import openai
from headrace.runtimes.protocol.openai import Abilities

if TYPE_CHECKING:
    from headrace.runtimes.front.app import Front

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


_PATHS: Final = frozenset(("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"))


@dataclass(frozen=True, slots=True)
class Events:
    """An answer of server-sent events."""

    lines: AsyncIterator[bytes]


async def events(stream: Stream, piece: Callable[[Any], Any], fault: Callable[[Answer], Any]) -> AsyncIterator[bytes]:
    """Lines of `data:` only, ended by [DONE]: clients of MLflow fail on comments and on other fields.

    A failure after the first piece is a last line with the error, and no [DONE]: the stream never just stops.
    """
    async for document in stream.pieces():
        yield b"data: " + orjson.dumps(piece(orjson.loads(document))) + b"\n\n"
    ending = await stream.ending()
    if ending.status == 200:
        yield b"data: [DONE]\n\n"
    else:
        yield b"data: " + orjson.dumps(fault(ending)) + b"\n\n"


def dialect(answer: Answer) -> Answer:
    """A refusal as OpenAI words it."""
    if answer.status < 400:
        return answer
    return Answer(answer.status, orjson.dumps(_error_of(answer)), answer.headers)


def _error_of(answer: Answer) -> dict[str, Any]:
    told = json.loads(answer.body)
    code = "model_not_found" if answer.status == 404 else None
    return openai.error(answer.status, str(told["message"]), code=code)


class OpenAI:
    """Answers under /v1."""

    def __init__(self, front: "Front") -> None:
        self._front = front
        self._started = int(time.time())

    async def answer(self, scope: Scope, receive: Receive) -> Answer | Events:
        """Routes one request; refusals are in OpenAI's words."""
        try:
            answered = await self._route(scope, receive)
        except InputError as error:
            answered = refusal(400, "BAD_REQUEST", "; ".join(error.faults))
        if isinstance(answered, Events):
            return answered
        if scope["method"] == "POST":
            self._front.counted(answered)
        return dialect(answered)

    async def _route(self, scope: Scope, receive: Receive) -> Answer | Events:
        front, path, method = self._front, scope["path"].rstrip("/"), scope["method"]
        endpoint = front.settings.endpoint
        if path in ("/v1/models", f"/v1/models/{endpoint}"):
            if method not in ("GET", "HEAD"):
                return refusal(405, "BAD_REQUEST", "This path answers GET only.", allow="GET")
            one = {"id": endpoint, "object": "model", "created": self._started, "owned_by": "headrace"}
            return Answer(200, orjson.dumps({"object": "list", "data": [one]} if path == "/v1/models" else one))
        if path not in _PATHS:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing at this path.")
        if method != "POST":
            return refusal(405, "BAD_REQUEST", "This path answers POST only.", allow="POST")
        if front.pool.description is None or not front.pool.ready:
            return front.turned_away()
        able = Abilities.of(front.pool.description)
        fits = {
            "/v1/chat/completions": able.chat,
            "/v1/completions": able.completions,
            "/v1/embeddings": able.embeddings or able.encodes,
            "/v1/responses": able.responses,
        }
        if not fits[path]:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "This model does not speak this protocol; use /invocations.")
        body = await front.body(scope, receive)
        if isinstance(body, Answer):
            return body
        fault = media.json_fault(body)
        if fault is not None:
            return fault
        return await self._call(path, orjson.loads(body), body, able)

    async def _call(self, path: str, document: Any, body: bytes, able: Abilities) -> Answer | Events:
        front = self._front
        said: dict[str, Any] = {
            "identity": f"chatcmpl-{time.time_ns():x}",
            "created": int(time.time()),
            "model": front.settings.endpoint,
        }
        if path == "/v1/embeddings":
            openai.require(document, "input", (str, list))
            encoding = str(document.get("encoding_format") or "float")
            texts = document["input"] if isinstance(document["input"], list) else [document["input"]]
            sent = body if able.embeddings else orjson.dumps({"inputs": texts})
            answer = await front.dispatcher.score(media.JSON, sent)
            if answer.status != 200:
                return answer
            read = orjson.loads(answer.body)
            vectors = read["predictions"] if isinstance(read, dict) and "predictions" in read else read
            return Answer(200, orjson.dumps(openai.embeddings(vectors, model=said["model"], encoding=encoding)))
        if path == "/v1/responses":
            return await self._respond(openai.response_request(document), said)
        chatting = path == "/v1/chat/completions"
        openai.require(document, "messages" if chatting else "prompt", (list,) if chatting else (str, list))
        if chatting and document.get("stream") is True and front.streams:
            stream = await front.dispatcher.stream(media.JSON, body)
            if isinstance(stream, Answer):
                return stream
            return Events(events(stream, lambda piece: openai.chat_piece(piece, **said), _error_of))
        answer = await front.dispatcher.score(media.JSON, body)
        if answer.status != 200:
            return answer
        shape = openai.chat if chatting else openai.completion
        return Answer(200, orjson.dumps(shape(orjson.loads(answer.body), **said)))

    async def _respond(self, request: dict[str, Any], said: dict[str, Any]) -> Answer | Events:
        """An agent's own events are passed on as they are, as MLflow's agent server does."""
        front, body = self._front, orjson.dumps(request)
        if request.get("stream") is True and front.streams:
            stream = await front.dispatcher.stream(media.JSON, body)
            return stream if isinstance(stream, Answer) else Events(events(stream, lambda piece: piece, _error_of))
        answer = await front.dispatcher.score(media.JSON, body)
        if answer.status != 200:
            return answer
        said["identity"] = said["identity"].replace("chatcmpl-", "resp_")
        return Answer(200, orjson.dumps(openai.response(orjson.loads(answer.body), **said)))
