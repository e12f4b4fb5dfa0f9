"""Requests on their way to the engine and back: as they are where it speaks the caller's protocol, else translated."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import orjson

from headrace.contract.runtime import Protocol
from headrace.runtimes.engine import dialects
from headrace.runtimes.engine.client import Client, EngineLost
from headrace.runtimes.front import media
from headrace.runtimes.front.answers import Answer, refusal
from headrace.runtimes.front.openai import Events
from headrace.runtimes.front.reading import read_body
from headrace.runtimes.protocol import openai, scoring
from headrace.runtimes.protocol.open_inference import EXTENSIONS, JSON_LENGTH_HEADER, Signature

if TYPE_CHECKING:
    from headrace.runtimes.engine.app import EngineFront

log = logging.getLogger("headrace.engine")

Scope = MutableMapping[str, Any]
Headers = tuple[tuple[bytes, bytes], ...]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_PASSED_ON = (b"content-type", b"accept", JSON_LENGTH_HEADER.encode(), b"x-request-id")
_PASSED_BACK = (b"content-type", JSON_LENGTH_HEADER.encode())
_MODEL = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<verb>/infer|/ready|/config|/stats)?"
)
_OPENAI_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
_JSON = ((b"content-type", b"application/json"),)
LOST = refusal(
    500,
    "INTERNAL_ERROR",
    "The model's engine ended, or hung up, while it worked on this request. It is replaced when it has ended.",
)
_BROKEN_OFF = orjson.dumps(openai.error(500, "The model's engine stopped before its answer was complete."))


class Forward:
    """Answers everything but health."""

    def __init__(self, front: "EngineFront") -> None:
        self._front = front
        self._described: dict[str, Any] | None = None
        """What a v2 engine says of its model."""
        self.binary = False
        """Whether a v2 engine takes raw tensors; known once it was `described`."""
        signature = front.plan.signature
        self._columns = [name for name, _ in Signature.of(signature).columns]

    async def answer(self, path: str, scope: Scope, receive: Receive) -> Answer | Events:
        """Routes one request."""
        speaks, method = self._front.plan.protocol, scope["method"]
        if path == "/invocations":
            if method != "POST":
                return refusal(405, "BAD_REQUEST", "This path answers POST only.", allow="POST")
            return await self._invocations(speaks, scope, receive)
        if path.startswith("/v1/") and speaks is Protocol.OPENAI:
            if path == "/v1/models" and method == "GET":
                return await self._asked("GET", path, scope, b"")
            if path in _OPENAI_PATHS:
                if method != "POST":
                    return refusal(405, "BAD_REQUEST", "This path answers POST only.", allow="POST")
                body = await self._json_body(scope, receive)
                return body if isinstance(body, Answer) else await self._passed(path, scope, body)
        if path.startswith("/v2") and speaks is Protocol.OPEN_INFERENCE:
            return await self._open_inference(path, scope, receive)
        return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing at this path.")

    async def fetched(self, port: int, path: str, *, seconds: float) -> bytes:
        """A GET to a port of the engine's; its body, empty when the answer is not 200."""
        response = await Client(port).request("GET", path, headers=((b"connection", b"close"),), seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                body = await response.body()
        finally:
            response.close()
        return body if response.status == 200 else b""

    async def _invocations(self, speaks: Protocol, scope: Scope, receive: Receive) -> Answer | Events:
        content_type = media.content_type(scope["headers"])
        if isinstance(content_type, Answer):
            return content_type
        if speaks is Protocol.INVOCATIONS:
            body = await self._body(scope, receive)
            return body if isinstance(body, Answer) else await self._passed("/invocations", scope, body)
        if content_type != media.JSON:
            return refusal(415, "BAD_REQUEST", f"This model takes {media.JSON} only: its engine reads no tables.")
        body = await self._json_body(scope, receive)
        if isinstance(body, Answer):
            return body
        if speaks is Protocol.OPENAI:
            return await self._generated(orjson.loads(body), scope)
        return await self._inferred(orjson.loads(body))

    async def _generated(self, document: Any, scope: Scope) -> Answer | Events:
        """/invocations in front of OpenAI's protocol."""
        path, sent, wrapped = scoring.generation(document, model=self._front.settings.endpoint)
        if wrapped and sent.get("stream") is True:
            return refusal(400, "BAD_REQUEST", "Only requests with 'messages' or 'prompt' are streamed.")
        answer = await self._passed(path, scope, orjson.dumps(sent), headers=_JSON, translate=True)
        if isinstance(answer, Events):
            return answer
        if answer.status != 200:
            return answer
        if not wrapped:
            return answer
        return Answer(200, orjson.dumps({"predictions": scoring.texts_of(orjson.loads(answer.body))}))

    async def _inferred(self, document: Any) -> Answer:
        """/invocations in front of the Open Inference Protocol."""
        front = self._front
        if not front.pool.ready:
            return front.turned_away()
        model = f"/v2/models/{front.settings.endpoint}"
        described = await self.described()
        if isinstance(described, Answer):
            return described
        text, raw = scoring.infer_request(
            scoring.read_table(document),
            described["inputs"],
            columns=self._columns,
            optional=scoring.optional_columns(front.plan.signature),
            binary=self.binary,
        )
        headers: Headers = _JSON
        if raw:
            length = (JSON_LENGTH_HEADER.encode(), str(len(text)).encode())
            headers = ((b"content-type", b"application/octet-stream"), length)
        answer = await self.admitted("POST", f"{model}/infer", headers, text + raw, translate=True)
        if isinstance(answer, Events):
            return LOST  # no v2 engine streams its answer to infer
        if answer.status != 200:
            return answer
        given = dict(answer.headers).get(JSON_LENGTH_HEADER.encode())
        at = len(answer.body) if given is None else int(given)
        outputs = orjson.loads(answer.body[:at])["outputs"]
        found = scoring.predictions(outputs, answer.body[at:], front.plan.signature)
        return Answer(200, orjson.dumps({"predictions": found}))

    async def described(self) -> dict[str, Any] | Answer:
        """What a v2 engine says of its model, asked once."""
        if self._described is None:
            try:
                self._described = json.loads(await self._got(f"/v2/models/{self._front.settings.endpoint}"))
                self.binary = set(EXTENSIONS) <= set(json.loads(await self._got("/v2")).get("extensions", ()))
            except (EngineLost, TimeoutError, ValueError):
                return LOST
        return self._described

    async def _got(self, path: str) -> bytes:
        response = await self._front.pool.client.request("GET", path, seconds=10)
        try:
            return await response.body()
        finally:
            response.close()

    async def _open_inference(self, path: str, scope: Scope, receive: Receive) -> Answer | Events:
        front, method = self._front, scope["method"]
        if path in ("/v2", "/v2/models") and method == "GET":
            if path == "/v2/models":
                return Answer(200, orjson.dumps({"models": [front.settings.endpoint]}))
            return await self._asked("GET", path, scope, b"")
        found = _MODEL.fullmatch(path)
        if found is None:
            # Among what is not offered: model repositories, shared memory, traces, which reach beyond one model.
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing at this path.")
        if found["name"] != front.settings.endpoint:
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "There is no model of this name here.")
        if found["version"] not in (None, front.settings.version):
            return refusal(404, "RESOURCE_DOES_NOT_EXIST", "The model has no version of this name here.")
        verb = found["verb"] or ""
        wanted = "POST" if verb == "/infer" else "GET"
        if method != wanted:
            return refusal(405, "BAD_REQUEST", f"This path answers {wanted} only.", allow=wanted)
        target = f"/v2/models/{found['name']}{verb}"  # the engine has one version, whatever it calls it
        if wanted == "GET":
            return front.not_ready() if front.draining else await self._asked("GET", target, scope, b"")
        body = await self._body(scope, receive)
        return body if isinstance(body, Answer) else await self._passed(target, scope, body)

    async def _asked(self, method: str, path: str, scope: Scope, body: bytes) -> Answer | Events:
        """A question about the model, which takes no place from requests for predictions."""
        if not self._front.pool.ready:
            return self._front.not_ready()
        headers = tuple(pair for pair in scope["headers"] if pair[0] in _PASSED_ON)
        return await self._exchanged(method, path, headers, body)

    async def _passed(
        self, path: str, scope: Scope, body: bytes, *, headers: Headers = (), translate: bool = False
    ) -> Answer | Events:
        """A request for a prediction, as it is."""
        if not self._front.pool.ready:
            return self._front.turned_away()
        kept = {name: value for name, value in scope["headers"] if name in _PASSED_ON}
        headers = tuple({**kept, **dict(headers)}.items())
        return await self.admitted("POST", path, headers, body, translate=translate)

    async def admitted(
        self, method: str, path: str, headers: Headers, body: bytes, *, translate: bool = False
    ) -> Answer | Events:
        """Asks the engine when there is a place for the request. `translate`: refusals as MLflow words them."""
        gate, loop = self._front.dispatcher, asyncio.get_running_loop()
        refused = await gate.enter()
        if refused is not None:
            return refused
        began, streaming = loop.time(), False
        try:
            answer = await self._exchanged(method, path, headers, body, translate=translate)
            if isinstance(answer, Events):
                streaming = True
                return Events(self._counted(answer.lines, began))
            return answer
        finally:
            if not streaming:
                gate.leave(loop.time() - began)

    async def _counted(self, lines: AsyncIterator[bytes], began: float) -> AsyncIterator[bytes]:
        """A stream holds its place until its last piece."""
        try:
            async for piece in lines:
                yield piece
        finally:
            self._front.dispatcher.leave(asyncio.get_running_loop().time() - began)

    async def _exchanged(
        self, method: str, path: str, headers: Headers, body: bytes, *, translate: bool = False
    ) -> Answer | Events:
        """Asks the engine. Its refusals come back as it words them, or translated; its own faults always translated."""
        front = self._front
        seconds = front.settings.timeout_seconds
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            response = await front.pool.client.request(method, path, headers=headers, body=body, seconds=seconds)
            kind = response.header(b"content-type") or b""
            if response.status == 200 and kind.startswith(b"text/event-stream"):
                return Events(front.streams.relayed(response, deadline=deadline, error=_BROKEN_OFF))
            try:
                async with asyncio.timeout_at(deadline):
                    whole = await response.body()
            finally:
                response.close()
        except EngineLost:
            return LOST
        except TimeoutError:
            return front.dispatcher.late()
        if response.status >= 500 and response.status not in (503, 504):
            log.error("the engine answered %d to %s: %s", response.status, path, whole[:2000])
            translate = True
        if translate and response.status != 200:
            return dialects.translated(response.status, whole)
        back = tuple(pair for pair in response.headers if pair[0] in _PASSED_BACK)
        return dialects.Verbatim(response.status, whole, back)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | Answer:
        body = await read_body(scope, receive)
        return body if isinstance(body, Answer) else media.decoded(scope["headers"], body)

    async def _json_body(self, scope: Scope, receive: Receive) -> bytes | Answer:
        body = await self._body(scope, receive)
        if isinstance(body, Answer):
            return body
        fault = media.json_fault(body)
        return body if fault is None else fault
